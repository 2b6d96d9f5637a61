// SPDX-License-Identifier: Apache-2.0
// Netlink sockets; what is in the messages is the business of lib/netlink.
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "fd.h"
#include "receiver.h"
#include "status.h"

namespace {

// A burst of events (a thousand neighbours resolved) must fit while JavaScript is busy.
constexpr int kReceiveBufferBytes = 4 << 20;

class NetlinkSocket : public Napi::ObjectWrap<NetlinkSocket> {
 public:
  // new NetlinkSocket(protocol, groups: number[], onMessages)
  explicit NetlinkSocket(const Napi::CallbackInfo& info);

  void Send(const Napi::CallbackInfo& info);  // (message: Buffer)
  void Close(const Napi::CallbackInfo&);
  void RefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Ref() : void(); }
  void UnrefLoop(const Napi::CallbackInfo&) { receiver_ ? receiver_->Unref() : void(); }

 private:
  // Declared in this order because the receiver must go first.
  Fd fd_;
  std::unique_ptr<Receiver> receiver_;
};

NetlinkSocket::NetlinkSocket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NetlinkSocket>(info) {
  Napi::Env env = info.Env();
  int protocol = IntOf(info[0]);
  fd_.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  ThrowIfFailed(env, fd_.Get(), "socket", "AF_NETLINK protocol " + std::to_string(protocol));
  // Beyond net.core.rmem_max takes CAP_NET_ADMIN; without it as much as is allowed.
  if (setsockopt(fd_.Get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes) < 0) {
    SetOption(env, fd_.Get(), SOL_SOCKET, SO_RCVBUF, kReceiveBufferBytes, "SO_RCVBUF");
  }
  // The kernel says in words what it dislikes, and does not repeat the request.
  SetOption(env, fd_.Get(), SOL_NETLINK, NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
  SetOption(env, fd_.Get(), SOL_NETLINK, NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  ThrowIfFailed(env, bind(fd_.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind", "AF_NETLINK");
  Napi::Array groups = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < groups.Length(); i++) {
    int group = IntOf(groups.Get(i));
    std::string what = "NETLINK_ADD_MEMBERSHIP " + std::to_string(group);
    SetOption(env, fd_.Get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, what.c_str());
  }
  receiver_ = std::make_unique<Receiver>(env, fd_.Get(), "libbpf-ts:NetlinkSocket", info[2].As<Napi::Function>());
}

void NetlinkSocket::Send(const Napi::CallbackInfo& info) {
  Bytes message = BytesOf(info[0]);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = sendto(fd_.Get(), message.data, message.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                        reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  ThrowIfFailed(info.Env(), static_cast<int>(sent), "sendto", "AF_NETLINK");
}

void NetlinkSocket::Close(const Napi::CallbackInfo&) {
  receiver_.reset();
  fd_.Reset();
}

}  // namespace

void RegisterNetlinkSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("NetlinkSocket",
              NetlinkSocket::DefineClass(env, "NetlinkSocket",
                                         {
                                             NetlinkSocket::InstanceMethod<&NetlinkSocket::Send>("send"),
                                             NetlinkSocket::InstanceMethod<&NetlinkSocket::Close>("close"),
                                             NetlinkSocket::InstanceMethod<&NetlinkSocket::RefLoop>("ref"),
                                             NetlinkSocket::InstanceMethod<&NetlinkSocket::UnrefLoop>("unref"),
                                         }));
}
