// SPDX-License-Identifier: Apache-2.0
// Frames sent at a fixed rate by a thread of its own, so that neither garbage
// collection nor a busy event loop makes a living process look dead, and the
// answers to them watched by the same thread, so that neither makes a living
// peer look dead to us.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "clock.h"
#include "fd.h"
#include "map_word.h"
#include "poll.h"
#include "realtime_thread.h"
#include "status.h"

namespace {

constexpr uint32_t kXdpTx = 3;
// The program may grow the frame by no more than XDP's headroom.
constexpr size_t kHeadroom = 256;

// Where beats go out.
struct Path {
  Fd socket;
  std::vector<uint8_t> frame;
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<int> last_error{0};
};

// What is known of the other end, as of one moment.
struct Findings {
  std::vector<bool> silent;
  std::vector<uint64_t> words;
  uint64_t at_ns = 0;
};

// Judges the paths by the stamps of their answers.
class Watch {
 public:
  struct Options {
    std::vector<MapWord> answered;
    std::vector<MapWord> words;
    uint64_t silent_after_ns = 0;
    // Unanswered beats without which no path is silent.
    uint32_t beats = 0;
  };
  explicit Watch(Options options);

  // The thread's. True: something has changed.
  bool Judge(uint64_t now_ns);
  // A beat left on time, or nothing can leave: the other end has had its chance.
  void NoteBeat(size_t path) { heard_[path].beats++; }
  // We were late ourselves, so silence proves nothing; counted anew.
  void NoteOwnDelay(size_t path) { heard_[path].beats = 0; }

  // Anybody's.
  Findings Read();

 private:
  struct Heard {
    uint64_t stamp_ns = 0;
    uint32_t beats = 0;
  };

  bool JudgePath(size_t path, uint64_t now_ns);

  Options options_;
  std::vector<Heard> heard_;
  PriorityMutex lock_;
  Findings findings_;
};

// A path that never answered, or not for long, is silent to begin with.
Watch::Watch(Options options) : options_(std::move(options)), heard_(options_.answered.size()) {
  findings_.at_ns = MonotonicNs();
  for (size_t i = 0; i < heard_.size(); i++) {
    heard_[i].stamp_ns = options_.answered[i].Load();
    findings_.silent.push_back(heard_[i].stamp_ns == 0 ||
                               findings_.at_ns > heard_[i].stamp_ns + options_.silent_after_ns);
  }
  for (const MapWord& word : options_.words) {
    findings_.words.push_back(word.Load());
  }
}

bool Watch::Judge(uint64_t now_ns) {
  std::lock_guard<PriorityMutex> guard(lock_);
  bool changed = false;
  for (size_t i = 0; i < heard_.size(); i++) {
    changed |= JudgePath(i, now_ns);
  }
  for (size_t i = 0; i < options_.words.size(); i++) {
    uint64_t word = options_.words[i].Load();
    changed |= word != findings_.words[i];
    findings_.words[i] = word;
  }
  if (changed) {
    findings_.at_ns = now_ns;
  }
  return changed;
}

bool Watch::JudgePath(size_t path, uint64_t now_ns) {
  Heard& heard = heard_[path];
  uint64_t stamp_ns = options_.answered[path].Load();
  bool silent = findings_.silent[path];
  if (stamp_ns > heard.stamp_ns) {
    heard = {stamp_ns, 0};
    silent = false;
  } else if (heard.beats >= options_.beats && now_ns > stamp_ns + options_.silent_after_ns) {
    silent = true;
  }
  bool changed = silent != findings_.silent[path];
  findings_.silent[path] = silent;
  return changed;
}

Findings Watch::Read() {
  // Allocated before the lock is held; the sizes never change.
  Findings copy{std::vector<bool>(heard_.size()), std::vector<uint64_t>(options_.words.size()), 0};
  std::lock_guard<PriorityMutex> guard(lock_);
  copy = findings_;
  return copy;
}

// An interface that is down or gone carries no answer either; a program that
// declines is our own affair. ENOBUFS: what the queue refuses beat after beat, ahead
// of all other traffic, goes nowhere. For up to a second after the carrier's loss, so
// says an interface that the kernel has not marked as down yet (net/core/link_watch.c).
bool IsPathDown(int error) {
  return error == ENETDOWN || error == ENXIO || error == ENODEV || error == ENOBUFS;
}

// What the thread works with. It touches nothing of Node.
class Sender {
 public:
  // `watch` may be null; `changed` is an eventfd that tells what it finds.
  Sender(Fd program, std::vector<std::unique_ptr<Path>> paths, uint64_t interval_ns, std::unique_ptr<Watch> watch,
         Fd changed);
  ~Sender() { Stop(); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Returns 0 or an errno.
  int Start() {
    return thread_.Start("libbpf-ts-beat", [this] { Run(); });
  }
  void Stop() { thread_.Stop(); }
  bool IsRealtime() const { return thread_.IsRealtime(); }
  const std::vector<std::unique_ptr<Path>>& Paths() const { return paths_; }
  Watch* GetWatch() const { return watch_.get(); }
  int ChangedFd() const { return changed_.Get(); }

  std::atomic<uint64_t> skipped{0};
  std::atomic<uint64_t> late_max_ns{0};

 private:
  void Run();
  void JudgeAt(uint64_t deadline);
  void Beat(size_t path, uint64_t deadline);
  // Returns 0 or an errno.
  int SealAndSend(const Path& path);

  Fd program_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::vector<uint8_t> sealed_;
  uint64_t interval_ns_;
  std::unique_ptr<Watch> watch_;
  Fd changed_;
  RealtimeThread thread_;
};

Sender::Sender(Fd program, std::vector<std::unique_ptr<Path>> paths, uint64_t interval_ns,
               std::unique_ptr<Watch> watch, Fd changed)
    : program_(std::move(program)),
      paths_(std::move(paths)),
      interval_ns_(interval_ns),
      watch_(std::move(watch)),
      changed_(std::move(changed)) {
  for (const auto& path : paths_) {
    sealed_.resize(std::max(sealed_.size(), path->frame.size() + kHeadroom));
  }
}

void Sender::Run() {
  uint64_t deadline = MonotonicNs();
  do {
    JudgeAt(deadline);
    for (size_t i = 0; i < paths_.size(); i++) {
      Beat(i, deadline);
    }
    deadline += interval_ns_;
    // A burst tells the peer nothing: beats whose successor is due too are left out.
    uint64_t now = MonotonicNs();
    if (now >= deadline + interval_ns_) {
      uint64_t missed = (now - deadline) / interval_ns_;
      skipped.fetch_add(missed, std::memory_order_relaxed);
      deadline += missed * interval_ns_;
    }
  } while (thread_.SleepUntil(deadline));
}

// Late, we do not know what still waits in our own queues.
void Sender::JudgeAt(uint64_t deadline) {
  if (!watch_) {
    return;
  }
  uint64_t now = MonotonicNs();
  if (now >= deadline + interval_ns_) {
    for (size_t i = 0; i < paths_.size(); i++) {
      watch_->NoteOwnDelay(i);
    }
  }
  if (watch_->Judge(now)) {
    eventfd_write(changed_.Get(), 1);
  }
}

void Sender::Beat(size_t index, uint64_t deadline) {
  Path& path = *paths_[index];
  int error = SealAndSend(path);
  if (error == 0) {
    path.sent.fetch_add(1, std::memory_order_relaxed);
  } else {
    path.failed.fetch_add(1, std::memory_order_relaxed);
    path.last_error.store(error, std::memory_order_relaxed);
  }
  uint64_t late = MonotonicNs() - deadline;
  RaiseTo(late_max_ns, late);
  if (watch_) {
    bool counts = late < interval_ns_ && (error == 0 || IsPathDown(error));
    counts ? watch_->NoteBeat(index) : watch_->NoteOwnDelay(index);
  }
}

int Sender::SealAndSend(const Path& path) {
  LIBBPF_OPTS(bpf_test_run_opts, run);
  run.data_in = path.frame.data();
  run.data_size_in = static_cast<uint32_t>(path.frame.size());
  run.data_out = sealed_.data();
  run.data_size_out = static_cast<uint32_t>(sealed_.size());
  run.repeat = 1;
  if (bpf_prog_test_run_opts(program_.Get(), &run) < 0) {
    return errno;
  }
  if (run.retval != kXdpTx) {
    return ECANCELED;
  }
  if (send(path.socket.Get(), sealed_.data(), run.data_size_out, MSG_DONTWAIT) < 0) {
    return errno;
  }
  return 0;
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
  // A refusal costs nothing else.
  setsockopt(socket_fd.Get(), SOL_SOCKET, SO_PRIORITY, &kPriorityControl, sizeof kPriorityControl);
  return socket_fd;
}

// paths: {interface: number, frame: Buffer}[]
std::vector<std::unique_ptr<Path>> PathsOf(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<std::unique_ptr<Path>> paths;
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Object item = array.Get(i).As<Napi::Object>();
    Bytes frame = BytesOf(item.Get("frame"));
    auto path = std::make_unique<Path>();
    path->socket = OpenSocket(value.Env(), IntOf(item.Get("interface")));
    path->frame.assign(frame.data, frame.data + frame.size);
    paths.push_back(std::move(path));
  }
  return paths;
}

std::vector<MapWord> WordsOf(int map_fd, const Napi::Value& offsets) {
  Napi::Array array = offsets.As<Napi::Array>();
  std::vector<MapWord> words;
  for (uint32_t i = 0; i < array.Length(); i++) {
    words.emplace_back(map_fd, static_cast<uint64_t>(array.Get(i).As<Napi::Number>().Int64Value()));
    if (!words.back().IsMapped()) {
      ThrowSystemError(offsets.Env(), "mmap", errno, "a word of a map");
    }
  }
  return words;
}

// watch: {mapFd, answered: number[], words: number[], silentAfterUs, beats} | undefined
std::unique_ptr<Watch> WatchOf(const Napi::Value& value) {
  if (value.IsUndefined()) {
    return nullptr;
  }
  Napi::Object object = value.As<Napi::Object>();
  int map_fd = IntOf(object.Get("mapFd"));
  Watch::Options options;
  options.answered = WordsOf(map_fd, object.Get("answered"));
  options.words = WordsOf(map_fd, object.Get("words"));
  options.silent_after_ns = UintOf(object.Get("silentAfterUs")) * kNsPerUs;
  options.beats = UintOf(object.Get("beats"));
  return std::make_unique<Watch>(std::move(options));
}

Napi::Object ToObject(Napi::Env env, const Findings& findings) {
  Napi::Array silent = Napi::Array::New(env);
  for (bool path : findings.silent) {
    silent.Set(silent.Length(), Napi::Boolean::New(env, path));
  }
  Napi::Array words = Napi::Array::New(env);
  for (uint64_t word : findings.words) {
    words.Set(words.Length(), Napi::BigInt::New(env, word));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("silent", silent);
  object.Set("words", words);
  object.Set("atNs", Napi::BigInt::New(env, findings.at_ns));
  return object;
}

class Beacon : public Napi::ObjectWrap<Beacon> {
 public:
  // new Beacon(programFd, paths, intervalUs, watch | undefined, onChange: () => void)
  explicit Beacon(const Napi::CallbackInfo& info);
  ~Beacon() override { Release(); }

  // stats(): {sent, failed, skipped, lateMaxUs, lastErrno, realtime, paths: {sent, failed, lastErrno}[]}
  Napi::Value Stats(const Napi::CallbackInfo& info);
  // findings(): {silent: boolean[], words: bigint[], atNs: bigint} | undefined
  Napi::Value GetFindings(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&) { Stop(); }

 private:
  // At the end of the environment, which may come before garbage collection.
  static void OnCleanup(void* self) { static_cast<Beacon*>(self)->sender_->Stop(); }
  void Stop();
  void Release();
  void OnChanged();

  napi_env environment_;
  std::unique_ptr<Sender> sender_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference on_change_;
};

Beacon::Beacon(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Beacon>(info), environment_(info.Env()) {
  Napi::Env env = info.Env();
  Fd program = Fd::Duplicate(IntOf(info[0]));
  if (!program.IsOpen()) {
    ThrowSystemError(env, "fcntl", errno, "program");
  }
  Fd changed(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!changed.IsOpen()) {
    ThrowSystemError(env, "eventfd", errno);
  }
  auto sender = std::make_unique<Sender>(std::move(program), PathsOf(info[1]), UintOf(info[2]) * kNsPerUs,
                                         WatchOf(info[3]), std::move(changed));
  if (sender->GetWatch() != nullptr) {
    on_change_ = Napi::Persistent(info[4].As<Napi::Function>());
    poll_ = std::make_unique<Poll>(env, sender->ChangedFd(), "libbpf-ts:Beacon", [this](int, int) { OnChanged(); });
    poll_->Start(UV_READABLE);
    poll_->Unref();
  }
  int error = sender->Start();
  if (error != 0) {
    // Before the descriptor that it polls.
    poll_.reset();
    ThrowSystemError(env, "pthread_create", error);
  }
  sender_ = std::move(sender);
  napi_add_env_cleanup_hook(environment_, &Beacon::OnCleanup, this);
}

void Beacon::Stop() {
  if (sender_) {
    sender_->Stop();
  }
  poll_.reset();
  on_change_.Reset();
}

void Beacon::Release() {
  Stop();
  if (sender_) {
    napi_remove_env_cleanup_hook(environment_, &Beacon::OnCleanup, this);
    sender_.reset();
  }
}

void Beacon::OnChanged() {
  // Reads away all that was told so far; what is found next is told again.
  eventfd_t told = 0;
  eventfd_read(sender_->ChangedFd(), &told);
  // JavaScript may close this beacon meanwhile; nothing of it is touched afterwards.
  on_change_.Value().Call({});
}

Napi::Value Beacon::Stats(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t sent = 0;
  uint64_t failed = 0;
  int last_error = 0;
  Napi::Array paths = Napi::Array::New(env);
  for (const auto& path : sender_->Paths()) {
    Napi::Object item = Napi::Object::New(env);
    item.Set("sent", Napi::BigInt::New(env, path->sent.load()));
    item.Set("failed", Napi::BigInt::New(env, path->failed.load()));
    item.Set("lastErrno", path->last_error.load());
    paths.Set(paths.Length(), item);
    sent += path->sent;
    failed += path->failed;
    last_error = path->last_error != 0 ? path->last_error.load() : last_error;
  }
  Napi::Object stats = Napi::Object::New(env);
  stats.Set("sent", Napi::BigInt::New(env, sent));
  stats.Set("failed", Napi::BigInt::New(env, failed));
  stats.Set("skipped", Napi::BigInt::New(env, sender_->skipped.load()));
  stats.Set("lateMaxUs", static_cast<double>(sender_->late_max_ns.load()) / 1000);
  stats.Set("lastErrno", last_error);
  stats.Set("realtime", sender_->IsRealtime());
  stats.Set("paths", paths);
  return stats;
}

Napi::Value Beacon::GetFindings(const Napi::CallbackInfo& info) {
  Watch* watch = sender_->GetWatch();
  return watch == nullptr ? info.Env().Undefined() : ToObject(info.Env(), watch->Read());
}

}  // namespace

void RegisterBeacon(Napi::Env env, Napi::Object exports) {
  exports.Set("Beacon", Beacon::DefineClass(env, "Beacon",
                                            {
                                                Beacon::InstanceMethod<&Beacon::Stats>("stats"),
                                                Beacon::InstanceMethod<&Beacon::GetFindings>("findings"),
                                                Beacon::InstanceMethod<&Beacon::Close>("close"),
                                            }));
}
