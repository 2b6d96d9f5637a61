// SPDX-License-Identifier: Apache-2.0
// CLOCK_MONOTONIC as one number: the clock of deadlines, leases and bpf_ktime_get_ns().
#pragma once

#include <time.h>

#include <cstdint>

constexpr uint64_t kNsPerSecond = 1000000000;
constexpr uint64_t kNsPerUs = 1000;

inline uint64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

inline timespec ToTimespec(uint64_t ns) {
  return {static_cast<time_t>(ns / kNsPerSecond), static_cast<long>(ns % kNsPerSecond)};
}
