// No header of CUDA or of the C library is included: they would cost more time than the kernel itself.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
#define DEVICE __device__ __forceinline__
#define QN_CODEC_FN DEVICE
