// SPDX-License-Identifier: Apache-2.0
// A frame sent at a fixed rate by a thread of its own, so that neither garbage
// collection nor a busy event loop makes a living process look dead.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "fd.h"
#include "status.h"

namespace {

constexpr uint32_t kXdpTx = 3;
// The program may grow the frame by no more than XDP's headroom.
constexpr size_t kHeadroom = 256;
constexpr int kPriorityControl = 7;
// Above every ordinary thread, below the kernel's interrupt threads (50).
constexpr int kRealtimePriority = 10;
constexpr uint64_t kNsPerSecond = 1000000000;

uint64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

timespec ToTimespec(uint64_t ns) {
  return {static_cast<time_t>(ns / kNsPerSecond), static_cast<long>(ns % kNsPerSecond)};
}

// What the thread works with. It touches nothing of Node.
class Sender {
 public:
  Sender(Fd program, Fd socket, std::vector<uint8_t> frame, uint64_t interval_ns)
      : program_(std::move(program)),
        socket_(std::move(socket)),
        frame_(std::move(frame)),
        sealed_(frame_.size() + kHeadroom),
        interval_ns_(interval_ns) {
    sem_init(&stop_, 0, 0);
  }
  ~Sender() {
    Stop();
    sem_destroy(&stop_);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Returns 0 or an errno.
  int Start();
  // Idempotent; returns when the thread has ended, without waiting for the interval.
  void Stop();

  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> skipped{0};
  std::atomic<uint64_t> late_max_ns{0};
  std::atomic<int> last_error{0};
  std::atomic<bool> realtime{false};

 private:
  void Run();
  void SendOne(uint64_t deadline);
  // Returns 0 or an errno.
  int SealAndSend();
  bool SleepUntil(uint64_t deadline);

  Fd program_;
  Fd socket_;
  std::vector<uint8_t> frame_;
  std::vector<uint8_t> sealed_;
  uint64_t interval_ns_;
  sem_t stop_;
  pthread_t thread_{};
  bool running_ = false;
};

int Sender::Start() {
  // Signals are the main thread's business; the new thread inherits this mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(
      &thread_, nullptr,
      [](void* self) -> void* {
        static_cast<Sender*>(self)->Run();
        return nullptr;
      },
      this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  running_ = error == 0;
  return error;
}

void Sender::Stop() {
  if (running_) {
    running_ = false;
    sem_post(&stop_);
    pthread_join(thread_, nullptr);
  }
}

void Sender::Run() {
  pthread_setname_np(pthread_self(), "libbpf-ts-beat");
  sched_param parameters{};
  parameters.sched_priority = kRealtimePriority;
  realtime = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0;
  // Without SCHED_FIFO the kernel would batch our wake-ups within 50 us.
  prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);

  uint64_t deadline = MonotonicNs();
  do {
    SendOne(deadline);
    deadline += interval_ns_;
    // A burst tells the peer nothing: beats whose successor is due too are left out.
    uint64_t now = MonotonicNs();
    if (now >= deadline + interval_ns_) {
      uint64_t missed = (now - deadline) / interval_ns_;
      skipped.fetch_add(missed, std::memory_order_relaxed);
      deadline += missed * interval_ns_;
    }
  } while (SleepUntil(deadline));
}

void Sender::SendOne(uint64_t deadline) {
  int error = SealAndSend();
  if (error == 0) {
    sent.fetch_add(1, std::memory_order_relaxed);
  } else {
    failed.fetch_add(1, std::memory_order_relaxed);
    last_error.store(error, std::memory_order_relaxed);
  }
  uint64_t late = MonotonicNs() - deadline;
  if (late > late_max_ns.load(std::memory_order_relaxed)) {
    late_max_ns.store(late, std::memory_order_relaxed);
  }
}

int Sender::SealAndSend() {
  LIBBPF_OPTS(bpf_test_run_opts, run);
  run.data_in = frame_.data();
  run.data_size_in = static_cast<uint32_t>(frame_.size());
  run.data_out = sealed_.data();
  run.data_size_out = static_cast<uint32_t>(sealed_.size());
  run.repeat = 1;
  if (bpf_prog_test_run_opts(program_.Get(), &run) < 0) {
    return errno;
  }
  if (run.retval != kXdpTx) {
    return ECANCELED;
  }
  if (send(socket_.Get(), sealed_.data(), run.data_size_out, MSG_DONTWAIT) < 0) {
    return errno;
  }
  return 0;
}

// An absolute sleep like clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME), on the
// same high-resolution timer, but one that Stop() can end at once. False: stop.
bool Sender::SleepUntil(uint64_t deadline) {
  timespec until = ToTimespec(deadline);
  while (sem_clockwait(&stop_, CLOCK_MONOTONIC, &until) < 0) {
    if (errno == ETIMEDOUT) {
      return true;
    }
  }
  return false;
}

Fd OpenSocket(Napi::Env env, int ifindex) {
  // Protocol 0: the socket receives nothing.
  Fd socket_fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket_fd.IsOpen()) {
    ThrowSystemError(env, "socket", errno, "AF_PACKET");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = ifindex;
  if (bind(socket_fd.Get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    ThrowSystemError(env, "bind", errno, "interface " + std::to_string(ifindex));
  }
  // Ahead of bulk traffic in the default queueing discipline; a refusal costs nothing else.
  setsockopt(socket_fd.Get(), SOL_SOCKET, SO_PRIORITY, &kPriorityControl, sizeof kPriorityControl);
  return socket_fd;
}

class Beacon : public Napi::ObjectWrap<Beacon> {
 public:
  // new Beacon(programFd, frame, ifindex, intervalUs)
  explicit Beacon(const Napi::CallbackInfo& info);
  ~Beacon() override { Release(); }

  // stats(): {sent, failed, skipped, lateMaxUs, lastErrno, realtime}
  Napi::Value Stats(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&) {
    if (sender_) {
      sender_->Stop();
    }
  }

 private:
  // At the end of the environment, which may come before garbage collection.
  static void OnCleanup(void* self) { static_cast<Beacon*>(self)->sender_->Stop(); }
  void Release();

  napi_env environment_;
  std::unique_ptr<Sender> sender_;
};

Beacon::Beacon(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Beacon>(info), environment_(info.Env()) {
  Napi::Env env = info.Env();
  Fd program = Fd::Duplicate(IntOf(info[0]));
  if (!program.IsOpen()) {
    ThrowSystemError(env, "fcntl", errno, "program");
  }
  Bytes frame = BytesOf(info[1]);
  uint64_t interval_ns = static_cast<uint64_t>(UintOf(info[3])) * 1000;
  sender_ = std::make_unique<Sender>(std::move(program), OpenSocket(env, IntOf(info[2])),
                                     std::vector<uint8_t>(frame.data, frame.data + frame.size),
                                     interval_ns);
  int error = sender_->Start();
  if (error != 0) {
    ThrowSystemError(env, "pthread_create", error);
  }
  napi_add_env_cleanup_hook(environment_, &Beacon::OnCleanup, this);
}

void Beacon::Release() {
  if (sender_) {
    napi_remove_env_cleanup_hook(environment_, &Beacon::OnCleanup, this);
    sender_.reset();
  }
}

Napi::Value Beacon::Stats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object stats = Napi::Object::New(env);
  stats.Set("sent", Napi::BigInt::New(env, sender_->sent.load()));
  stats.Set("failed", Napi::BigInt::New(env, sender_->failed.load()));
  stats.Set("skipped", Napi::BigInt::New(env, sender_->skipped.load()));
  stats.Set("lateMaxUs", static_cast<double>(sender_->late_max_ns.load()) / 1000);
  stats.Set("lastErrno", sender_->last_error.load());
  stats.Set("realtime", sender_->realtime.load());
  return stats;
}

}  // namespace

void RegisterBeacon(Napi::Env env, Napi::Object exports) {
  exports.Set("Beacon", Beacon::DefineClass(env, "Beacon",
                                            {
                                                Beacon::InstanceMethod<&Beacon::Stats>("stats"),
                                                Beacon::InstanceMethod<&Beacon::Close>("close"),
                                            }));
}
