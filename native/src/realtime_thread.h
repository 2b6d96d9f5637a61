// SPDX-License-Identifier: Apache-2.0
// A thread that neither garbage collection nor a busy event loop nor a busy machine delays.
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <atomic>
#include <cstdint>
#include <functional>

class RealtimeThread {
 public:
  RealtimeThread() { sem_init(&wake_, 0, 0); }
  // The owner has called Stop() before what `run` works on goes.
  ~RealtimeThread() {
    Stop();
    sem_destroy(&wake_);
  }
  RealtimeThread(const RealtimeThread&) = delete;
  RealtimeThread& operator=(const RealtimeThread&) = delete;

  // `run` touches nothing of Node and returns when SleepUntil() says false.
  // `name` has at most 15 bytes. Returns 0 or an errno.
  int Start(const char* name, std::function<void()> run);
  // Idempotent; returns when the thread has ended, without waiting for its deadline.
  void Stop();
  // Ends the sleep, or the next one if there is none.
  void Wake() { sem_post(&wake_); }
  // Whether the thread got SCHED_FIFO (CAP_SYS_NICE).
  bool IsRealtime() const { return realtime_.load(); }

  // For `run`: returns at the deadline (CLOCK_MONOTONIC) or at a Wake(). False: stop.
  bool SleepUntil(uint64_t deadline_ns);

 private:
  void Begin();

  std::function<void()> run_;
  const char* name_ = "";
  sem_t wake_;
  pthread_t thread_{};
  bool running_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> realtime_{false};
};

// SO_PRIORITY of what such a thread sends: ahead of bulk traffic in the default queueing discipline.
constexpr int kPriorityControl = 7;

// For counts that such a thread alone writes.
inline void RaiseTo(std::atomic<uint64_t>& highest, uint64_t value) {
  if (value > highest.load(std::memory_order_relaxed)) {
    highest.store(value, std::memory_order_relaxed);
  }
}

// A lock between such a thread and the event loop: whoever holds it inherits the
// priority of who waits for it, so that a busy machine cannot keep the thread waiting.
class PriorityMutex {
 public:
  PriorityMutex() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex_, &attributes);
    pthread_mutexattr_destroy(&attributes);
  }
  ~PriorityMutex() { pthread_mutex_destroy(&mutex_); }
  PriorityMutex(const PriorityMutex&) = delete;
  PriorityMutex& operator=(const PriorityMutex&) = delete;

  // Named as std::lock_guard wants.
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};
