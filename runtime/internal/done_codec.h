// The stored form of Done: one byte, 0.
#ifndef SPILLWAY_RUNTIME_INTERNAL_DONE_CODEC_H_
#define SPILLWAY_RUNTIME_INTERNAL_DONE_CODEC_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/task_options.h"
#include "serialization/codec.h"
#include "serialization/type_registry.h"

namespace spillway {

template <>
struct Codec<Done> {
  using View = Done;

  static ObjectType Type() {
    static const ObjectType type = CustomType(TypeName(), 1, "one byte, 0");
    return type;
  }
  static std::string TypeName() { return "spillway.Done"; }
  static absl::StatusOr<size_t> EncodedSize(const Done&) { return size_t{1}; }
  static void Encode(const Done&, absl::Span<char> out) { out[0] = 0; }
  static View MakeView(absl::Span<const char>) { return {}; }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& = {}) {
    if (payload.size() == 1 && payload[0] == 0) return absl::OkStatus();
    return absl::DataLossError("spillway.Done is one byte, 0");
  }
  static Done Decode(const View& view) { return view; }
};

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_INTERNAL_DONE_CODEC_H_
