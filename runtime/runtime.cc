#include "runtime/runtime.h"

#include "glog/logging.h"

namespace spillway {

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start(const RuntimeOptions& options,
                                                        std::unique_ptr<ObjectStore> store) {
  ObjectStore* const used = store.get();
  auto core = internal::RuntimeCore::Start(options, std::move(store), used);
  if (!core.ok()) return core.status();
  return std::unique_ptr<Runtime>(new Runtime(*std::move(core)));
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start(const RuntimeOptions& options,
                                                        ObjectStore* store) {
  auto core = internal::RuntimeCore::Start(options, nullptr, store);
  if (!core.ok()) return core.status();
  return std::unique_ptr<Runtime>(new Runtime(*std::move(core)));
}

Runtime::~Runtime() {
  const absl::Status status = Shutdown(ShutdownMode::kCancel, core_->options().shutdown_wait_max);
  if (!status.ok()) LOG(ERROR) << "a runtime ends: " << status;
  core_->Detach();
}

absl::Status Runtime::Shutdown(ShutdownMode mode, absl::Duration timeout) {
  return core_->Shutdown(mode == ShutdownMode::kDrain, timeout);
}

absl::Status Runtime::WriteTrace(const std::string& path) const {
  if (!core_->trace().on()) {
    return absl::FailedPreconditionError("no timeline is kept: set trace_events_max");
  }
  return core_->trace().Write(path);
}

}  // namespace spillway
