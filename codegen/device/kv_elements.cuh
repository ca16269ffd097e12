// k and v of the elements of the products: tiles are used as they come.

DEVICE u32 take_kv_tile(u32 ring, int index) { return ring + (u32)index % STAGES * KV_RING_BYTES; }
