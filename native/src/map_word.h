// SPDX-License-Identifier: Apache-2.0
// One u64 of an array map, in the kernel's own memory, for a native thread.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

// Holds the map alive. Programs and other processes use the word at the same time.
class MapWord {
 public:
  MapWord() = default;
  // `offset` is a multiple of 8 inside of the map's memory (lib/map-word.ts checks).
  // Not mapped on failure; errno says why.
  MapWord(int map_fd, uint64_t offset) {
    page_bytes_ = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    uint64_t page = offset / page_bytes_ * page_bytes_;
    void* memory = mmap(nullptr, page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, static_cast<off_t>(page));
    if (memory != MAP_FAILED) {
      page_ = memory;
      word_ = reinterpret_cast<uint64_t*>(static_cast<uint8_t*>(memory) + (offset - page));
    }
  }
  MapWord(MapWord&& other) noexcept { *this = std::move(other); }
  MapWord& operator=(MapWord&& other) noexcept {
    std::swap(page_, other.page_);
    std::swap(word_, other.word_);
    std::swap(page_bytes_, other.page_bytes_);
    return *this;
  }
  MapWord(const MapWord&) = delete;
  MapWord& operator=(const MapWord&) = delete;
  ~MapWord() {
    if (page_ != nullptr) {
      munmap(page_, page_bytes_);
    }
  }

  bool IsMapped() const { return word_ != nullptr; }
  uint64_t Load() const { return __atomic_load_n(word_, __ATOMIC_ACQUIRE); }
  // Never lowers it, whoever else writes.
  void Raise(uint64_t value) {
    uint64_t old = Load();
    while (old < value &&
           !__atomic_compare_exchange_n(word_, &old, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
  }

 private:
  void* page_ = nullptr;
  uint64_t* word_ = nullptr;
  uint64_t page_bytes_ = 0;
};
