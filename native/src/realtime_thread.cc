// SPDX-License-Identifier: Apache-2.0
#include "realtime_thread.h"

#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "clock.h"

namespace {

// Above every ordinary thread, below the kernel's interrupt threads (50).
constexpr int kRealtimePriority = 10;

}  // namespace

int RealtimeThread::Start(const char* name, std::function<void()> run) {
  name_ = name;
  run_ = std::move(run);
  // Signals are the main thread's business; the new thread inherits this mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(
      &thread_, nullptr,
      [](void* self) -> void* {
        static_cast<RealtimeThread*>(self)->Begin();
        return nullptr;
      },
      this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  running_ = error == 0;
  return error;
}

void RealtimeThread::Stop() {
  if (running_) {
    running_ = false;
    stopping_ = true;
    sem_post(&wake_);
    pthread_join(thread_, nullptr);
  }
}

void RealtimeThread::Begin() {
  pthread_setname_np(pthread_self(), name_);
  sched_param parameters{};
  parameters.sched_priority = kRealtimePriority;
  realtime_ = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0;
  // Without SCHED_FIFO the kernel would batch our wake-ups within 50 us.
  prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  run_();
}

// An absolute sleep like clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME), on the
// same high-resolution timer, but one that can be ended at once.
bool RealtimeThread::SleepUntil(uint64_t deadline_ns) {
  timespec until = ToTimespec(deadline_ns);
  while (!stopping_ && sem_clockwait(&wake_, CLOCK_MONOTONIC, &until) < 0) {
    if (errno == ETIMEDOUT) {
      return !stopping_;
    }
  }
  // Several calls of Wake() are one.
  while (sem_trywait(&wake_) == 0) {
  }
  return !stopping_;
}
