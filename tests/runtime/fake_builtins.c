// Stands for libnvrtc-builtins: only whether it was opened matters.
extern const int fake_builtins;
const int fake_builtins = 1;
