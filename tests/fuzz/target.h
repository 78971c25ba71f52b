/* What libFuzzer calls and tests/fuzz/replay.c replays. */
#ifndef MR_TESTS_FUZZ_TARGET_H
#define MR_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
