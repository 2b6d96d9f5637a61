// SPDX-License-Identifier: Apache-2.0
// A compiled BPF object between open and load. After load the typed layer takes
// a descriptor of every map and program and closes this.
#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "handle.h"
#include "libbpf_log.h"
#include "status.h"

namespace {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

class ObjectFile : public Napi::ObjectWrap<ObjectFile> {
 public:
  // new ObjectFile(path, kernelLogLevel)
  explicit ObjectFile(const Napi::CallbackInfo& info);

  Napi::Value Maps(const Napi::CallbackInfo& info);
  Napi::Value Programs(const Napi::CallbackInfo& info);
  void SetMaxEntries(const Napi::CallbackInfo& info);
  void Reuse(const Napi::CallbackInfo& info);
  Napi::Value InitialValue(const Napi::CallbackInfo& info);
  void SetInitialValue(const Napi::CallbackInfo& info);
  void SetAutoload(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value MapHandle(const Napi::CallbackInfo& info);
  Napi::Value ProgramHandle(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

 private:
  bpf_object* Get(Napi::Env env) const;
  bpf_map* FindMap(const Napi::CallbackInfo& info) const;
  bpf_program* FindProgram(const Napi::CallbackInfo& info) const;

  std::string path_;
  uint32_t log_level_ = 0;
  std::unique_ptr<bpf_object, CloseObject> object_;
};

ObjectFile::ObjectFile(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ObjectFile>(info), path_(StringOf(info[0])), log_level_(UintOf(info[1])) {
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.kernel_log_level = log_level_;
  LibbpfLog log;
  object_.reset(bpf_object__open_file(path_.c_str(), &options));
  if (!object_) {
    ThrowSystemError(info.Env(), "bpf_object__open", errno, path_, log.Text());
  }
}

bpf_object* ObjectFile::Get(Napi::Env env) const {
  if (!object_) {
    ThrowSystemError(env, "bpf_object", EBADF, path_ + " is closed");
  }
  return object_.get();
}

bpf_map* ObjectFile::FindMap(const Napi::CallbackInfo& info) const {
  std::string name = StringOf(info[0]);
  bpf_map* map = bpf_object__find_map_by_name(Get(info.Env()), name.c_str());
  if (map == nullptr) {
    ThrowSystemError(info.Env(), "bpf_object__find_map_by_name", errno, name);
  }
  return map;
}

bpf_program* ObjectFile::FindProgram(const Napi::CallbackInfo& info) const {
  std::string name = StringOf(info[0]);
  bpf_program* program = bpf_object__find_program_by_name(Get(info.Env()), name.c_str());
  if (program == nullptr) {
    ThrowSystemError(info.Env(), "bpf_object__find_program_by_name", errno, name);
  }
  return program;
}

// maps(): declarations, in the object's order
Napi::Value ObjectFile::Maps(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  bpf_map* map;
  bpf_object__for_each_map(map, Get(env)) {
    Napi::Object declaration = Napi::Object::New(env);
    declaration.Set("name", std::string(bpf_map__name(map)));
    declaration.Set("internal", bpf_map__is_internal(map));
    declaration.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
    declaration.Set("keySize", bpf_map__key_size(map));
    declaration.Set("valueSize", bpf_map__value_size(map));
    declaration.Set("maxEntries", bpf_map__max_entries(map));
    declaration.Set("flags", bpf_map__map_flags(map));
    declaration.Set("btfKeyTypeId", bpf_map__btf_key_type_id(map));
    declaration.Set("btfValueTypeId", bpf_map__btf_value_type_id(map));
    result.Set(result.Length(), declaration);
  }
  return result;
}

// programs(): declarations, in the object's order
Napi::Value ObjectFile::Programs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array result = Napi::Array::New(env);
  bpf_program* program;
  bpf_object__for_each_program(program, Get(env)) {
    Napi::Object declaration = Napi::Object::New(env);
    declaration.Set("name", std::string(bpf_program__name(program)));
    declaration.Set("section", std::string(bpf_program__section_name(program)));
    declaration.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
    result.Set(result.Length(), declaration);
  }
  return result;
}

// setMaxEntries(map, maxEntries)
void ObjectFile::SetMaxEntries(const Napi::CallbackInfo& info) {
  LibbpfLog log;
  int error = bpf_map__set_max_entries(FindMap(info), UintOf(info[1]));
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_map__set_max_entries", error, StringOf(info[0]), log.Text());
  }
}

// reuse(map, fd): libbpf duplicates the descriptor
void ObjectFile::Reuse(const Napi::CallbackInfo& info) {
  LibbpfLog log;
  int error = bpf_map__reuse_fd(FindMap(info), IntOf(info[1]));
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_map__reuse_fd", error, StringOf(info[0]), log.Text());
  }
}

// initialValue(map): Buffer | undefined, a copy
Napi::Value ObjectFile::InitialValue(const Napi::CallbackInfo& info) {
  size_t size = 0;
  const void* value = bpf_map__initial_value(FindMap(info), &size);
  if (value == nullptr) {
    return info.Env().Undefined();
  }
  return Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<const uint8_t*>(value), size);
}

// setInitialValue(map, value)
void ObjectFile::SetInitialValue(const Napi::CallbackInfo& info) {
  Bytes value = BytesOf(info[1]);
  LibbpfLog log;
  int error = bpf_map__set_initial_value(FindMap(info), value.data, value.size);
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_map__set_initial_value", error, StringOf(info[0]),
                     log.Text());
  }
}

// setAutoload(program, enabled)
void ObjectFile::SetAutoload(const Napi::CallbackInfo& info) {
  int error = bpf_program__set_autoload(FindProgram(info), info[1].As<Napi::Boolean>().Value());
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_program__set_autoload", error, StringOf(info[0]));
  }
}

// load(): the log, which is empty unless kernelLogLevel asked for one
Napi::Value ObjectFile::Load(const Napi::CallbackInfo& info) {
  LibbpfLog log(log_level_ > 0);
  int error = bpf_object__load(Get(info.Env()));
  if (error < 0) {
    ThrowSystemError(info.Env(), "bpf_object__load", error, path_, log.Text());
  }
  return Napi::String::New(info.Env(), log.Text());
}

Napi::Value HandleOf(Napi::Env env, int fd, const std::string& name) {
  if (fd < 0) {
    return env.Undefined();
  }
  Fd own = Fd::Duplicate(fd);
  if (!own.IsOpen()) {
    ThrowSystemError(env, "fcntl", errno, name);
  }
  return Handle::New(env, std::move(own));
}

// mapHandle(map): Handle, after load
Napi::Value ObjectFile::MapHandle(const Napi::CallbackInfo& info) {
  return HandleOf(info.Env(), bpf_map__fd(FindMap(info)), StringOf(info[0]));
}

// programHandle(program): Handle, after load; undefined if it was not loaded
Napi::Value ObjectFile::ProgramHandle(const Napi::CallbackInfo& info) {
  return HandleOf(info.Env(), bpf_program__fd(FindProgram(info)), StringOf(info[0]));
}

void ObjectFile::Close(const Napi::CallbackInfo&) { object_.reset(); }

}  // namespace

void RegisterObject(Napi::Env env, Napi::Object exports) {
  exports.Set("ObjectFile",
              ObjectFile::DefineClass(
                  env, "ObjectFile",
                  {
                      ObjectFile::InstanceMethod<&ObjectFile::Maps>("maps"),
                      ObjectFile::InstanceMethod<&ObjectFile::Programs>("programs"),
                      ObjectFile::InstanceMethod<&ObjectFile::SetMaxEntries>("setMaxEntries"),
                      ObjectFile::InstanceMethod<&ObjectFile::Reuse>("reuse"),
                      ObjectFile::InstanceMethod<&ObjectFile::InitialValue>("initialValue"),
                      ObjectFile::InstanceMethod<&ObjectFile::SetInitialValue>("setInitialValue"),
                      ObjectFile::InstanceMethod<&ObjectFile::SetAutoload>("setAutoload"),
                      ObjectFile::InstanceMethod<&ObjectFile::Load>("load"),
                      ObjectFile::InstanceMethod<&ObjectFile::MapHandle>("mapHandle"),
                      ObjectFile::InstanceMethod<&ObjectFile::ProgramHandle>("programHandle"),
                      ObjectFile::InstanceMethod<&ObjectFile::Close>("close"),
                  }));
}
