// SPDX-License-Identifier: Apache-2.0
#include "poll.h"

#include <memory>

#include "status.h"

// Lives until libuv has let go of the handle, which is after Poll is gone.
struct Poll::State {
  State(Napi::Env env, const char* name, Ready ready)
      : env(env), context(env, name), ready(std::make_shared<Ready>(std::move(ready))) {}

  Napi::Env env;
  Napi::AsyncContext context;
  std::shared_ptr<Ready> ready;
  uv_poll_t handle{};
  Poll* owner = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;

  void BeginClose() {
    if (owner != nullptr) {
      owner->state_ = nullptr;
      owner = nullptr;
    }
    ready.reset();
    uv_handle_t* raw = reinterpret_cast<uv_handle_t*>(&handle);
    if (!uv_is_closing(raw)) {
      uv_close(raw, [](uv_handle_t* closed) {
        State* state = static_cast<State*>(closed->data);
        napi_async_cleanup_hook_handle cleanup = state->cleanup;
        delete state;
        // An environment that is being torn down waits for this.
        napi_remove_async_cleanup_hook(cleanup);
      });
    }
  }

  void Dispatch(int status, int events) {
    // Held here because `ready` may close this Poll while it runs.
    std::shared_ptr<Ready> running = ready;
    if (!running) {
      return;
    }
    try {
      Napi::HandleScope handles(env);
      Napi::CallbackScope scope(env, context);
      try {
        (*running)(status, events);
      } catch (const Napi::Error& error) {
        napi_fatal_exception(env, error.Value());
      }
    } catch (const Napi::Error&) {
      // A worker that is being terminated runs no JavaScript any more, not even
      // to look at an exception. Nobody is left to tell.
    }
  }
};

Poll::Poll(Napi::Env env, int fd, const char* resource_name, Ready ready)
    : state_(new State(env, resource_name, std::move(ready))) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  int status = uv_poll_init(loop, &state_->handle, fd);
  if (status < 0) {
    delete state_;
    ThrowSystemError(env, "uv_poll_init", status);
  }
  state_->handle.data = state_;
  state_->owner = this;
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle, void* data) { static_cast<State*>(data)->BeginClose(); },
      state_, &state_->cleanup);
}

void Poll::Start(int events) {
  if (state_ == nullptr) {
    return;
  }
  int status = uv_poll_start(&state_->handle, events, [](uv_poll_t* handle, int result, int ready) {
    static_cast<State*>(handle->data)->Dispatch(result, ready);
  });
  if (status < 0) {
    ThrowSystemError(state_->env, "uv_poll_start", status);
  }
}

void Poll::Stop() {
  if (state_ != nullptr) {
    uv_poll_stop(&state_->handle);
  }
}

void Poll::Ref() {
  if (state_ != nullptr) {
    uv_ref(reinterpret_cast<uv_handle_t*>(&state_->handle));
  }
}

void Poll::Unref() {
  if (state_ != nullptr) {
    uv_unref(reinterpret_cast<uv_handle_t*>(&state_->handle));
  }
}

void Poll::Close() {
  if (state_ != nullptr) {
    state_->BeginClose();
  }
}
