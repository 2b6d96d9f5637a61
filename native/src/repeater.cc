// SPDX-License-Identifier: Apache-2.0
// Many messages, each at an interval of its own and for as long as its lease
// lasts, sent by one real-time thread: what a process promises by repeating
// itself goes on while the process is busy, and ends when the process does.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "clock.h"
#include "fd.h"
#include "map_word.h"
#include "realtime_thread.h"
#include "status.h"

namespace {

// How long to sleep when there is nothing to do: Wake() ends it.
constexpr uint64_t kIdleNs = 3600 * kNsPerSecond;

struct Message {
  int ifindex = 0;
  // Else an IPv4 packet.
  bool is_frame = false;
  std::vector<uint8_t> bytes;
};

struct Stamp {
  MapWord word;
  uint64_t for_ns = 0;
};

struct Counts {
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> skipped{0};
  std::atomic<uint64_t> lapsed{0};
  std::atomic<uint64_t> late_max_ns{0};
};

// What is repeated. Atomics belong to everybody, the rest to who holds the schedule's lock.
struct Entry {
  std::vector<Message> messages;
  uint64_t interval_ns = 0;
  // At most this part of the interval is taken off.
  double jitter = 0;
  std::optional<Stamp> stamp;
  // The last round, or the beginning: where a changed interval counts from.
  uint64_t base_ns = 0;

  // 0: none. Set once, before the thread sees the entry.
  uint64_t silence_ns = 0;

  std::atomic<uint64_t> until_ns{0};
  std::atomic<uint64_t> renewed_ns{0};
  std::atomic<int> last_error{0};
  std::atomic<uint64_t> last_sent_ns{0};
  Counts counts;

  bool IsLapsed(uint64_t now_ns) const {
    if (now_ns >= until_ns.load(std::memory_order_acquire)) {
      return true;
    }
    // Stopped with its process, or refused by the card: others may have taken us for gone.
    uint64_t alive_ns = std::max(last_sent_ns.load(std::memory_order_relaxed), renewed_ns.load(std::memory_order_relaxed));
    return silence_ns != 0 && now_ns > alive_ns + silence_ns;
  }
};

// xoshiro256** (Blackman, Vigna): no allocation, no lock, a state of its own.
class Random {
 public:
  Random() {
    if (getrandom(state_, sizeof state_, GRND_NONBLOCK) != sizeof state_) {
      // Early at boot: gateways that start together still differ by their clocks.
      uint64_t seed = MonotonicNs();
      for (uint64_t& word : state_) {
        word = seed = (seed ^ (seed >> 31)) * 0xbf58476d1ce4e5b9 + 0x9e3779b97f4a7c15;
      }
    }
    state_[0] |= 1;  // All zero would stay zero.
  }

  // From 0 up to, but not, 1.
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  static uint64_t Rotate(uint64_t word, int bits) { return (word << bits) | (word >> (64 - bits)); }
  uint64_t Next() {
    uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  uint64_t state_[4];
};

// The sockets: one of each kind, as every message names its interface.
class Transmitter {
 public:
  // Throws a SystemError.
  explicit Transmitter(Napi::Env env);
  // Returns 0 or an errno.
  int Send(const Message& message) const;

 private:
  int SendFrame(const Message& message) const;
  int SendPacket(const Message& message) const;

  Fd frames_;
  Fd packets_;
};

Transmitter::Transmitter(Napi::Env env) {
  // Protocol 0, and IPPROTO_RAW: these sockets receive nothing.
  frames_.Reset(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!frames_.IsOpen()) {
    ThrowSystemError(env, "socket", errno, "AF_PACKET");
  }
  packets_.Reset(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!packets_.IsOpen()) {
    ThrowSystemError(env, "socket", errno, "IPPROTO_RAW");
  }
  int off = 0;
  if (setsockopt(packets_.Get(), IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off) < 0) {
    ThrowSystemError(env, "setsockopt", errno, "IP_MULTICAST_LOOP");
  }
  // A refusal costs nothing else.
  setsockopt(frames_.Get(), SOL_SOCKET, SO_PRIORITY, &kPriorityControl, sizeof kPriorityControl);
  setsockopt(packets_.Get(), SOL_SOCKET, SO_PRIORITY, &kPriorityControl, sizeof kPriorityControl);
}

int Transmitter::Send(const Message& message) const {
  return message.is_frame ? SendFrame(message) : SendPacket(message);
}

int Transmitter::SendFrame(const Message& message) const {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = message.ifindex;
  // Qdiscs, checksum offload and taps go by this, not by the frame.
  memcpy(&address.sll_protocol, message.bytes.data() + 2 * ETH_ALEN, sizeof address.sll_protocol);
  ssize_t sent = sendto(frames_.Get(), message.bytes.data(), message.bytes.size(), MSG_DONTWAIT,
                        reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return sent < 0 ? errno : 0;
}

int Transmitter::SendPacket(const Message& message) const {
  sockaddr_in destination{};
  destination.sin_family = AF_INET;
  memcpy(&destination.sin_addr, message.bytes.data() + offsetof(iphdr, daddr), sizeof destination.sin_addr);
  iovec part{const_cast<uint8_t*>(message.bytes.data()), message.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))]{};
  msghdr header{};
  header.msg_name = &destination;
  header.msg_namelen = sizeof destination;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  // Binds this one packet to the interface, multicast or not.
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = IPPROTO_IP;
  item->cmsg_type = IP_PKTINFO;
  item->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo where{};
  where.ipi_ifindex = message.ifindex;
  memcpy(CMSG_DATA(item), &where, sizeof where);
  return sendmsg(packets_.Get(), &header, MSG_DONTWAIT) < 0 ? errno : 0;
}

// Which entry is due next. The deadlines lie side by side, apart from their
// entries, and are searched from end to end: 300 of them are 75 cache lines,
// a fraction of what one send costs, and nothing is to be kept in order when
// entries come, go or change.
class Schedule {
 public:
  explicit Schedule(Transmitter transmitter) : transmitter_(std::move(transmitter)) {}
  ~Schedule() { Stop(); }
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  int Start() {
    return thread_.Start("libbpf-ts-rept", [this] { Run(); });
  }
  void Stop() { thread_.Stop(); }
  bool IsRealtime() const { return thread_.IsRealtime(); }

  // The event loop's thread alone calls these; it is the only one that changes the list.
  void Add(std::shared_ptr<Entry> entry, uint64_t first_ns);
  // Nothing of the entry leaves any more.
  void Remove(const Entry* entry);
  struct Change {
    std::optional<std::vector<Message>> messages;
    std::optional<uint64_t> interval_ns;
    std::optional<double> jitter;
    std::optional<uint64_t> stamp_for_ns;
  };
  // What `change` replaces goes with it, outside of the lock.
  void Update(Entry* entry, Change& change);
  size_t Size() const { return slots_.size(); }

  Counts counts;

 private:
  struct Slot {
    uint64_t deadline_ns;
    std::shared_ptr<Entry> entry;
  };

  void Run();
  // Sends the round of one entry that is due; returns when the next one is.
  uint64_t Step();
  void SendRound(Entry& entry, uint64_t deadline_ns);
  uint64_t NextDeadline(Entry& entry, uint64_t deadline_ns);
  uint64_t Jittered(const Entry& entry) {
    double off = entry.jitter == 0 ? 0 : random_.Fraction() * entry.jitter;
    return entry.interval_ns - static_cast<uint64_t>(static_cast<double>(entry.interval_ns) * off);
  }
  Slot* Find(const Entry* entry);

  Transmitter transmitter_;
  // Guards slots_ and random_, and what entries say of themselves.
  PriorityMutex lock_;
  std::vector<Slot> slots_;
  Random random_;
  RealtimeThread thread_;
};

void Schedule::Add(std::shared_ptr<Entry> entry, uint64_t first_ns) {
  std::vector<Slot> replacement;
  if (slots_.size() == slots_.capacity()) {
    replacement.reserve(std::max<size_t>(16, slots_.size() * 2));
  }
  {
    std::lock_guard<PriorityMutex> guard(lock_);
    if (replacement.capacity() > 0) {
      std::move(slots_.begin(), slots_.end(), std::back_inserter(replacement));
      slots_.swap(replacement);
    }
    slots_.push_back({first_ns, std::move(entry)});
  }
  thread_.Wake();
}

void Schedule::Remove(const Entry* entry) {
  // Its memory is given back outside of the lock.
  std::shared_ptr<Entry> removed;
  std::lock_guard<PriorityMutex> guard(lock_);
  if (Slot* slot = Find(entry)) {
    removed = std::move(slot->entry);
    *slot = std::move(slots_.back());
    slots_.pop_back();
  }
}

void Schedule::Update(Entry* entry, Change& change) {
  {
    std::lock_guard<PriorityMutex> guard(lock_);
    if (change.messages) {
      entry->messages.swap(*change.messages);
    }
    if (change.jitter) {
      entry->jitter = *change.jitter;
    }
    if (change.stamp_for_ns && entry->stamp) {
      entry->stamp->for_ns = *change.stamp_for_ns;
    }
    if (change.interval_ns && *change.interval_ns != entry->interval_ns) {
      entry->interval_ns = *change.interval_ns;
      if (Slot* slot = Find(entry)) {
        slot->deadline_ns = std::max(MonotonicNs(), entry->base_ns + Jittered(*entry));
      }
    }
  }
  thread_.Wake();
}

Schedule::Slot* Schedule::Find(const Entry* entry) {
  for (Slot& slot : slots_) {
    if (slot.entry.get() == entry) {
      return &slot;
    }
  }
  return nullptr;
}

void Schedule::Run() {
  uint64_t next;
  do {
    do {
      next = Step();
    } while (next <= MonotonicNs());
  } while (thread_.SleepUntil(next));
}

// One round for each taking of the lock, so that the event loop gets it in between.
uint64_t Schedule::Step() {
  std::lock_guard<PriorityMutex> guard(lock_);
  uint64_t now = MonotonicNs();
  Slot* due = nullptr;
  uint64_t second = now + kIdleNs;
  for (Slot& slot : slots_) {
    if (due == nullptr || slot.deadline_ns < due->deadline_ns) {
      second = due == nullptr ? second : due->deadline_ns;
      due = &slot;
    } else if (slot.deadline_ns < second) {
      second = slot.deadline_ns;
    }
  }
  if (due == nullptr) {
    return second;
  }
  if (due->deadline_ns <= now) {
    SendRound(*due->entry, due->deadline_ns);
    due->deadline_ns = NextDeadline(*due->entry, due->deadline_ns);
  }
  return std::min(due->deadline_ns, second);
}

void Schedule::SendRound(Entry& entry, uint64_t deadline_ns) {
  uint64_t handed_over_ns = 0;
  for (const Message& message : entry.messages) {
    // Read before each message, with nothing but the system call behind it.
    uint64_t now = MonotonicNs();
    if (entry.IsLapsed(now)) {
      entry.counts.lapsed.fetch_add(1, std::memory_order_relaxed);
      counts.lapsed.fetch_add(1, std::memory_order_relaxed);
      break;
    }
    int error = transmitter_.Send(message);
    if (error != 0) {
      entry.last_error.store(error, std::memory_order_relaxed);
      entry.counts.failed.fetch_add(1, std::memory_order_relaxed);
      counts.failed.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    handed_over_ns = handed_over_ns == 0 ? now : handed_over_ns;
    entry.counts.sent.fetch_add(1, std::memory_order_relaxed);
    counts.sent.fetch_add(1, std::memory_order_relaxed);
    entry.last_sent_ns.store(now, std::memory_order_relaxed);
    uint64_t late = MonotonicNs() - deadline_ns;
    RaiseTo(entry.counts.late_max_ns, late);
    RaiseTo(counts.late_max_ns, late);
  }
  entry.base_ns = MonotonicNs();
  if (handed_over_ns != 0 && entry.stamp) {
    // From before the first system call: whoever heard it heard it later.
    entry.stamp->word.Raise(handed_over_ns + entry.stamp->for_ns);
  }
}

// A burst tells the receivers nothing: rounds whose successor is due too are left out.
uint64_t Schedule::NextDeadline(Entry& entry, uint64_t deadline_ns) {
  uint64_t next = deadline_ns + Jittered(entry);
  uint64_t now = MonotonicNs();
  if (now >= next + entry.interval_ns) {
    uint64_t missed = (now - next) / entry.interval_ns;
    entry.counts.skipped.fetch_add(missed, std::memory_order_relaxed);
    counts.skipped.fetch_add(missed, std::memory_order_relaxed);
    next += missed * entry.interval_ns;
  }
  return next;
}

uint64_t UnsignedOf(const Napi::Value& value) {
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

// messages: {interface: number, isFrame: boolean, bytes: Buffer}[]
std::vector<Message> MessagesOf(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<Message> messages(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Object item = array.Get(i).As<Napi::Object>();
    Bytes bytes = BytesOf(item.Get("bytes"));
    messages[i].ifindex = IntOf(item.Get("interface"));
    messages[i].is_frame = item.Get("isFrame").As<Napi::Boolean>().Value();
    messages[i].bytes.assign(bytes.data, bytes.data + bytes.size);
    char name[IF_NAMESIZE];
    if (if_indextoname(static_cast<unsigned>(messages[i].ifindex), name) == nullptr) {
      ThrowSystemError(value.Env(), "if_indextoname", ENODEV, "interface " + std::to_string(messages[i].ifindex));
    }
  }
  return messages;
}

class Repeater : public Napi::ObjectWrap<Repeater> {
 public:
  // new Repeater()
  explicit Repeater(const Napi::CallbackInfo& info);
  ~Repeater() override { Release(); }

  // stats(): {entries, sent, failed, skipped, lapsed, lateMaxUs, realtime}
  Napi::Value Stats(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo&) { schedule_->Stop(); }

  const std::shared_ptr<Schedule>& GetSchedule() const { return schedule_; }

 private:
  // At the end of the environment, which may come before garbage collection.
  static void OnCleanup(void* self) { static_cast<Repeater*>(self)->schedule_->Stop(); }
  void Release();

  napi_env environment_;
  // Entries that JavaScript still holds share it.
  std::shared_ptr<Schedule> schedule_;
};

Repeater::Repeater(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Repeater>(info), environment_(info.Env()) {
  auto schedule = std::make_shared<Schedule>(Transmitter(info.Env()));
  int error = schedule->Start();
  if (error != 0) {
    ThrowSystemError(info.Env(), "pthread_create", error);
  }
  schedule_ = std::move(schedule);
  napi_add_env_cleanup_hook(environment_, &Repeater::OnCleanup, this);
}

void Repeater::Release() {
  if (schedule_) {
    napi_remove_env_cleanup_hook(environment_, &Repeater::OnCleanup, this);
    schedule_->Stop();
    schedule_.reset();
  }
}

void SetCounts(Napi::Env env, Napi::Object stats, const Counts& counts) {
  stats.Set("sent", Napi::BigInt::New(env, counts.sent.load()));
  stats.Set("failed", Napi::BigInt::New(env, counts.failed.load()));
  stats.Set("skipped", Napi::BigInt::New(env, counts.skipped.load()));
  stats.Set("lapsed", Napi::BigInt::New(env, counts.lapsed.load()));
  stats.Set("lateMaxUs", static_cast<double>(counts.late_max_ns.load()) / 1000);
}

Napi::Value Repeater::Stats(const Napi::CallbackInfo& info) {
  Napi::Object stats = Napi::Object::New(info.Env());
  SetCounts(info.Env(), stats, schedule_->counts);
  stats.Set("entries", static_cast<double>(schedule_->Size()));
  stats.Set("realtime", schedule_->IsRealtime());
  return stats;
}

class RepeaterEntry : public Napi::ObjectWrap<RepeaterEntry> {
 public:
  // new RepeaterEntry(repeater, messages, intervalUs, jitter, untilNs, firstAfterUs,
  //                   stampMapFd | undefined, stampOffset, stampForNs, silenceNs)
  explicit RepeaterEntry(const Napi::CallbackInfo& info);

  void Update(const Napi::CallbackInfo& info);  // (messages?, intervalUs?, jitter?, stampForNs?)
  void Renew(const Napi::CallbackInfo& info) {  // (untilNs)
    entry_->renewed_ns.store(MonotonicNs(), std::memory_order_relaxed);
    entry_->until_ns.store(UnsignedOf(info[0]), std::memory_order_release);
  }
  // stats(): {sent, failed, skipped, lapsed, lateMaxUs, lastErrno, lastSentNs}
  Napi::Value Stats(const Napi::CallbackInfo& info);
  // Collected without it, the entry goes on.
  void Close(const Napi::CallbackInfo&) { schedule_->Remove(entry_.get()); }

 private:
  std::shared_ptr<Schedule> schedule_;
  std::shared_ptr<Entry> entry_;
};

RepeaterEntry::RepeaterEntry(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RepeaterEntry>(info) {
  schedule_ = Repeater::Unwrap(info[0].As<Napi::Object>())->GetSchedule();
  entry_ = std::make_shared<Entry>();
  entry_->messages = MessagesOf(info[1]);
  entry_->interval_ns = UintOf(info[2]) * kNsPerUs;
  entry_->jitter = info[3].As<Napi::Number>().DoubleValue();
  entry_->until_ns = UnsignedOf(info[4]);
  if (!info[6].IsUndefined()) {
    Stamp stamp{MapWord(IntOf(info[6]), static_cast<uint64_t>(info[7].As<Napi::Number>().Int64Value())),
                UnsignedOf(info[8])};
    if (!stamp.word.IsMapped()) {
      ThrowSystemError(info.Env(), "mmap", errno, "a word of a map");
    }
    entry_->stamp.emplace(std::move(stamp));
  }
  entry_->silence_ns = UnsignedOf(info[9]);
  entry_->base_ns = MonotonicNs();
  entry_->renewed_ns = entry_->base_ns;
  schedule_->Add(entry_, entry_->base_ns + UintOf(info[5]) * kNsPerUs);
}

void RepeaterEntry::Update(const Napi::CallbackInfo& info) {
  Schedule::Change change;
  if (!info[0].IsUndefined()) {
    change.messages = MessagesOf(info[0]);
  }
  if (!info[1].IsUndefined()) {
    change.interval_ns = UintOf(info[1]) * kNsPerUs;
  }
  if (!info[2].IsUndefined()) {
    change.jitter = info[2].As<Napi::Number>().DoubleValue();
  }
  if (!info[3].IsUndefined()) {
    change.stamp_for_ns = UnsignedOf(info[3]);
  }
  schedule_->Update(entry_.get(), change);
}

Napi::Value RepeaterEntry::Stats(const Napi::CallbackInfo& info) {
  Napi::Object stats = Napi::Object::New(info.Env());
  SetCounts(info.Env(), stats, entry_->counts);
  stats.Set("lastErrno", entry_->last_error.load());
  stats.Set("lastSentNs", Napi::BigInt::New(info.Env(), entry_->last_sent_ns.load()));
  return stats;
}

}  // namespace

void RegisterRepeater(Napi::Env env, Napi::Object exports) {
  exports.Set("Repeater", Repeater::DefineClass(env, "Repeater",
                                                {
                                                    Repeater::InstanceMethod<&Repeater::Stats>("stats"),
                                                    Repeater::InstanceMethod<&Repeater::Close>("close"),
                                                }));
  exports.Set("RepeaterEntry",
              RepeaterEntry::DefineClass(env, "RepeaterEntry",
                                         {
                                             RepeaterEntry::InstanceMethod<&RepeaterEntry::Update>("update"),
                                             RepeaterEntry::InstanceMethod<&RepeaterEntry::Renew>("renew"),
                                             RepeaterEntry::InstanceMethod<&RepeaterEntry::Stats>("stats"),
                                             RepeaterEntry::InstanceMethod<&RepeaterEntry::Close>("close"),
                                         }));
}
