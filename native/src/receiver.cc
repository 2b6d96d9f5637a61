// SPDX-License-Identifier: Apache-2.0
#include "receiver.h"

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "status.h"

namespace {

// The descriptor is level-triggered: what is left wakes the loop again, after
// everything else that waits has had its turn.
constexpr int kMessagesPerWakeUp = 64;
// The longest IPv4 packet, with a link-layer header; netlink dumps are shorter.
constexpr size_t kLongestMessage = 65535 + 64;
// Older receptions than this are a clock that was set meanwhile, not a delay.
constexpr int64_t kLongestDelayNs = 60'000'000'000;

int64_t Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// What recvmsg tells about a message besides its bytes.
struct Envelope {
  uint32_t ifindex = 0;
  uint32_t packet_type = 0;
  int64_t realtime_ns = 0;
  bool foreign = false;
};

Envelope Open(const msghdr& header) {
  Envelope envelope;
  const auto* address = static_cast<const sockaddr*>(header.msg_name);
  if (header.msg_namelen >= sizeof(sockaddr_ll) && address->sa_family == AF_PACKET) {
    const auto* link = reinterpret_cast<const sockaddr_ll*>(address);
    envelope.ifindex = static_cast<uint32_t>(link->sll_ifindex);
    envelope.packet_type = link->sll_pkttype;
  } else if (header.msg_namelen >= sizeof(sockaddr_nl) && address->sa_family == AF_NETLINK) {
    // Any process may send netlink messages to us; only the kernel's count.
    envelope.foreign = reinterpret_cast<const sockaddr_nl*>(address)->nl_pid != 0;
  }
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr;
       item = CMSG_NXTHDR(const_cast<msghdr*>(&header), item)) {
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPNS) {
      timespec time{};
      memcpy(&time, CMSG_DATA(item), sizeof time);
      envelope.realtime_ns = time.tv_sec * 1'000'000'000LL + time.tv_nsec;
    } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      memcpy(&info, CMSG_DATA(item), sizeof info);
      envelope.ifindex = static_cast<uint32_t>(info.ipi_ifindex);
    }
  }
  return envelope;
}

// The kernel stamps with CLOCK_REALTIME; timers and leases run on CLOCK_MONOTONIC.
uint64_t Monotonic(int64_t realtime_ns) {
  int64_t now = Now(CLOCK_MONOTONIC);
  if (realtime_ns == 0) {
    return static_cast<uint64_t>(now);
  }
  int64_t delay = Now(CLOCK_REALTIME) - realtime_ns;
  return static_cast<uint64_t>(delay < 0 || delay > kLongestDelayNs ? now : now - delay);
}

Napi::Object ToObject(Napi::Env env, const uint8_t* bytes, size_t size, const Envelope& envelope) {
  Napi::Object message = Napi::Object::New(env);
  message.Set("data", Napi::Buffer<uint8_t>::Copy(env, bytes, size));
  message.Set("ifindex", envelope.ifindex);
  message.Set("packetType", envelope.packet_type);
  message.Set("timestampNs", Napi::BigInt::New(env, Monotonic(envelope.realtime_ns)));
  return message;
}

}  // namespace

Receiver::Receiver(Napi::Env env, int fd, const char* resource_name, Napi::Function on_messages)
    : env_(env),
      fd_(fd),
      on_messages_(Napi::Persistent(on_messages)),
      poll_(env, fd, resource_name, [this](int status, int) { OnReady(status); }) {
  poll_.Start(UV_READABLE);
}

void Receiver::OnReady(int status) {
  if (status < 0) {
    // libuv stops polling when the socket has an error pending (the interface
    // went down); reading fetches and clears it, so polling may go on.
    poll_.Start(UV_READABLE);
  }
  static thread_local std::vector<uint8_t> buffer(kLongestMessage);
  Napi::Array messages = Napi::Array::New(env_);
  int failure = 0;
  for (int i = 0; i < kMessagesPerWakeUp && failure == 0; i++) {
    sockaddr_storage sender{};
    alignas(cmsghdr) char control[256];
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t size = recvmsg(fd_, &header, MSG_DONTWAIT);
    if (size < 0) {
      failure = errno;
    } else if ((header.msg_flags & MSG_TRUNC) != 0) {
      failure = EMSGSIZE;
    } else if (Envelope envelope = Open(header); !envelope.foreign) {
      messages.Set(messages.Length(), ToObject(env_, buffer.data(), static_cast<size_t>(size), envelope));
    }
  }
  if (failure == EAGAIN || failure == EINTR) {
    failure = 0;
  }
  if (messages.Length() > 0 || failure != 0) {
    // JavaScript may close the socket, and so destroy this, before the call returns.
    on_messages_.Value().Call({messages, Napi::Number::New(env_, failure)});
  }
}

void ThrowIfFailed(Napi::Env env, int result, const char* operation, const std::string& detail) {
  if (result < 0) {
    ThrowSystemError(env, operation, errno, detail);
  }
}
