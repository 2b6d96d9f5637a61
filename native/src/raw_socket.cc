// SPDX-License-Identifier: Apache-2.0
// IPv4 raw sockets: one IP protocol, multicast by interface.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "fd.h"
#include "receiver.h"
#include "status.h"

namespace {

class RawSocket : public Napi::ObjectWrap<RawSocket> {
 public:
  // new RawSocket(protocol, onMessages)
  explicit RawSocket(const Napi::CallbackInfo& info);

  void BindToDevice(const Napi::CallbackInfo& info);      // (interface: string)
  void JoinGroup(const Napi::CallbackInfo& info);         // (group: string, ifindex: number)
  void SetMulticast(const Napi::CallbackInfo& info);      // (ifindex, ttl, loop: boolean)
  void SetTtl(const Napi::CallbackInfo& info);            // (ttl)
  void SetHeaderIncluded(const Napi::CallbackInfo& info); // ()
  void Send(const Napi::CallbackInfo& info);              // (packet: Buffer, destination: string)
  void Close(const Napi::CallbackInfo&);
  void RefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Ref() : void(); }
  void UnrefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Unref() : void(); }

 private:
  in_addr Address(const Napi::Value& text);

  // Declared in this order because the receiver must go first.
  Fd fd_;
  std::unique_ptr<Receiver> receiver_;
};

RawSocket::RawSocket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RawSocket>(info) {
  Napi::Env env = info.Env();
  int protocol = IntOf(info[0]);
  fd_.Reset(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  ThrowIfFailed(env, fd_.Get(), "socket", "IP protocol " + std::to_string(protocol));
  SetOption(env, fd_.Get(), SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  SetOption(env, fd_.Get(), IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  // Only groups that this socket has joined, not those of the whole machine.
  SetOption(env, fd_.Get(), IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL");
  receiver_ = std::make_unique<Receiver>(env, fd_.Get(), "libbpf-ts:RawSocket", info[1].As<Napi::Function>());
}

void RawSocket::BindToDevice(const Napi::CallbackInfo& info) {
  std::string name = StringOf(info[0]);
  ThrowIfFailed(info.Env(),
                setsockopt(fd_.Get(), SOL_SOCKET, SO_BINDTODEVICE, name.c_str(), name.size() + 1),
                "setsockopt", "SO_BINDTODEVICE " + name);
}

void RawSocket::JoinGroup(const Napi::CallbackInfo& info) {
  ip_mreqn request{};
  request.imr_multiaddr = Address(info[0]);
  request.imr_ifindex = IntOf(info[1]);
  std::string what = "IP_ADD_MEMBERSHIP " + StringOf(info[0]);
  SetOption(info.Env(), fd_.Get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, request, what.c_str());
}

void RawSocket::SetMulticast(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ip_mreqn request{};
  request.imr_ifindex = IntOf(info[0]);
  if (request.imr_ifindex != 0) {
    SetOption(env, fd_.Get(), IPPROTO_IP, IP_MULTICAST_IF, request, "IP_MULTICAST_IF");
  }
  SetOption(env, fd_.Get(), IPPROTO_IP, IP_MULTICAST_TTL, IntOf(info[1]), "IP_MULTICAST_TTL");
  int loop = info[2].As<Napi::Boolean>().Value() ? 1 : 0;
  SetOption(env, fd_.Get(), IPPROTO_IP, IP_MULTICAST_LOOP, loop, "IP_MULTICAST_LOOP");
}

void RawSocket::SetTtl(const Napi::CallbackInfo& info) {
  SetOption(info.Env(), fd_.Get(), IPPROTO_IP, IP_TTL, IntOf(info[0]), "IP_TTL");
}

void RawSocket::SetHeaderIncluded(const Napi::CallbackInfo& info) {
  SetOption(info.Env(), fd_.Get(), IPPROTO_IP, IP_HDRINCL, 1, "IP_HDRINCL");
}

void RawSocket::Send(const Napi::CallbackInfo& info) {
  Bytes packet = BytesOf(info[0]);
  sockaddr_in destination{};
  destination.sin_family = AF_INET;
  destination.sin_addr = Address(info[1]);
  ssize_t sent = sendto(fd_.Get(), packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                        reinterpret_cast<const sockaddr*>(&destination), sizeof destination);
  ThrowIfFailed(info.Env(), static_cast<int>(sent), "sendto", StringOf(info[1]));
}

void RawSocket::Close(const Napi::CallbackInfo&) {
  receiver_.reset();
  fd_.Reset();
}

in_addr RawSocket::Address(const Napi::Value& text) {
  in_addr address{};
  if (inet_pton(AF_INET, StringOf(text).c_str(), &address) != 1) {
    ThrowSystemError(Env(), "inet_pton", EINVAL, StringOf(text));
  }
  return address;
}

// if_nametoindex(name): number
Napi::Value InterfaceIndex(const Napi::CallbackInfo& info) {
  std::string name = StringOf(info[0]);
  unsigned int index = if_nametoindex(name.c_str());
  if (index == 0) {
    ThrowSystemError(info.Env(), "if_nametoindex", errno, name);
  }
  return Napi::Number::New(info.Env(), index);
}

}  // namespace

void RegisterRawSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaceIndex", Napi::Function::New<InterfaceIndex>(env, "interfaceIndex"));
  exports.Set("RawSocket",
              RawSocket::DefineClass(env, "RawSocket",
                                     {
                                         RawSocket::InstanceMethod<&RawSocket::BindToDevice>("bindToDevice"),
                                         RawSocket::InstanceMethod<&RawSocket::JoinGroup>("joinGroup"),
                                         RawSocket::InstanceMethod<&RawSocket::SetMulticast>("setMulticast"),
                                         RawSocket::InstanceMethod<&RawSocket::SetTtl>("setTtl"),
                                         RawSocket::InstanceMethod<&RawSocket::SetHeaderIncluded>("setHeaderIncluded"),
                                         RawSocket::InstanceMethod<&RawSocket::Send>("send"),
                                         RawSocket::InstanceMethod<&RawSocket::Close>("close"),
                                         RawSocket::InstanceMethod<&RawSocket::RefLoop>("ref"),
                                         RawSocket::InstanceMethod<&RawSocket::UnrefLoop>("unref"),
                                     }));
}
