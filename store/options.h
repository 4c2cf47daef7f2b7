// What a caller can choose: for a store, for a put and for a get. Every limit has a name here.
#ifndef SPILLWAY_STORE_OPTIONS_H_
#define SPILLWAY_STORE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace spillway {

inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

class AnyRef;
class Clock;
class Executor;

struct StoreOptions {
  // Everything that the store allocates stays within this many bytes: payload, rounding, entries,
  // index, policy, I/O buffers and the spill tier's own memory.
  uint64_t memory_limit_bytes = 512 * kMiB;
  static constexpr uint64_t kMemoryLimitBytesMin = 16 * kMiB;
  static constexpr uint64_t kMemoryLimitBytesMax = 16 * 1024 * kGiB;

  // Where objects go that leave memory. Empty: the store is memory only, and a put that does not
  // fit is ResourceExhausted unless droppable objects can make room.
  std::string spill_directory;
  // Bytes that the spill directory may hold; 0 is no limit but the disk's.
  uint64_t spill_limit_bytes = 0;

  // The policy that chooses what leaves memory; see EvictionPolicyNames().
  std::string eviction_policy = "cost";

  // Fractions of the limit. When the bytes that cannot be dropped without I/O exceed the high one,
  // a background thread writes objects to the spill tier until they are below the low one.
  double high_watermark = 0.80;
  double low_watermark = 0.60;

  // How long a put or a restore waits for room before it gives up with ResourceExhausted. Puts and
  // gets can choose their own.
  absl::Duration wait_for_room_max = absl::Seconds(10);
  // Puts and restores that may wait for room at once; one more is refused at once.
  uint32_t waiters_max = 65536;

  // Touch all payload memory when the store opens, so that no later put pays for fresh pages.
  bool prefault = false;
  // Ask the kernel for huge pages for payload memory.
  bool huge_pages = false;

  // Seams for tests and simulations; null means the real ones. They must outlive the store.
  Clock* clock = nullptr;
  Executor* executor = nullptr;
};

// OK, or InvalidArgument that names the option, its value and what it may be.
absl::Status ValidateStoreOptions(const StoreOptions& options);

// What happens to an object when its memory is wanted.
enum class OnEvict : uint8_t {
  kSpill,  // it goes to the spill tier and comes back when asked for
  kDrop,   // it is gone; a later get is NotFound that says dropped
  kNever,  // it stays in memory as long as it lives
};

struct PutOptions {
  OnEvict on_evict = OnEvict::kSpill;
  // The store keeps a reference of its own, until Delete.
  bool keep = false;
  // Objects that this one refers to: they live at least as long as it does.
  absl::Span<const AnyRef> contains;
  // Waiting for room ends after this long; negative means StoreOptions::wait_for_room_max.
  absl::Duration wait_for_room_max = -absl::Seconds(1);
};

// What the caller knows of an object's future, for the eviction policy.
enum class PolicyHint : uint8_t {
  kNone,        // nothing: the policy decides
  kNeededSoon,  // will be read soon: leaves only if nothing else can
  kNotNeeded,   // nobody is known to need it: leaves first
};

struct GetOptions {
  // Waiting for room ends after this long; negative means StoreOptions::wait_for_room_max.
  absl::Duration wait_for_room_max = -absl::Seconds(1);
  // Waiting for the value of a pending object ends after this long, with DeadlineExceeded.
  absl::Duration wait_for_value_max = absl::InfiniteDuration();
  // Who holds the view, for Holders(). Must outlive it: a literal, as a rule.
  const char* label = nullptr;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_OPTIONS_H_
