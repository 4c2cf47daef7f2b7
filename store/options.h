// What a caller can choose: for a store, for a put and for a get. Every limit has a name here.
#ifndef SPILLWAY_STORE_OPTIONS_H_
#define SPILLWAY_STORE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "spill/spill_options.h"

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
  // What becomes of the durable objects and names that earlier processes left there. With kDiscard
  // the store takes none itself.
  SpillRecovery recovery = SpillRecovery::kDiscard;
  SpillCompression spill_compression = SpillCompression::kNone;

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

  // Asynchronous gets that may wait for room, disk or a value at once; one more is refused at once.
  uint32_t async_gets_max = 16384;

  // How long a durable change of a name or an object waits for others of the same one before it
  // gives up with DeadlineExceeded.
  absl::Duration wait_for_change_max = absl::Seconds(60);

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
  // The object is on disk, synced, when the put returns OK, and is found again after a restart or a
  // crash, with or without a ref: until Delete, or until the last of its names is unbound and the
  // last ref gone. What it contains is made durable first. Needs StoreOptions::recovery kKeep.
  bool durable = false;
  // The object is durable and found by ObjectStore::Find under this name of 1 to 1024 bytes without
  // a NUL. AlreadyExists if the name is bound already, unless `replace`: then it changes over to
  // the new object as a whole, also for who looks after a crash. Must live until the put returns,
  // or Create and MakePending do.
  std::optional<absl::string_view> name;
  bool replace = false;
  // Waiting for room ends after this long; negative means StoreOptions::wait_for_room_max.
  absl::Duration wait_for_room_max = -absl::Seconds(1);

  // Whether the object is nothing but its bytes.
  bool is_plain() const {
    return (static_cast<int>(keep) | static_cast<int>(!contains.empty()) |
            static_cast<int>(durable) | static_cast<int>(name.has_value()) |
            static_cast<int>(replace)) == 0;
  }
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
  // False: a cold object is read into memory that is given back with the view, and stays cold. It
  // takes free memory and what is on its way out; hot objects leave for it only if there is
  // neither. An object that is in memory is read as ever.
  bool promote = true;
  // Who holds the view, for Holders(). Must outlive it: a literal, as a rule.
  const char* label = nullptr;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_OPTIONS_H_
