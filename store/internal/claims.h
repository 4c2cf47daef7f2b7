// Claims: whoever is about to change what a name means, or whether an object is durable, has the
// name and the object to itself meanwhile. Such a change is I/O, over which no lock is held.
//
// Who claims several takes names before objects, and objects by ascending id.
#ifndef SPILLWAY_STORE_INTERNAL_CLAIMS_H_
#define SPILLWAY_STORE_INTERNAL_CLAIMS_H_

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "serialization/mutex.h"
#include "store/seams.h"

namespace spillway::internal {

// Thread-safe. First come, first served.
class Claims {
 public:
  // Gives the claim back at its end. Move-only.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept
        : claims_(std::exchange(other.claims_, nullptr)), key_(std::move(other.key_)) {}
    Claim& operator=(Claim&& other) noexcept {
      std::swap(claims_, other.claims_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Claim() {
      if (claims_ != nullptr) claims_->Give(key_);
    }

   private:
    friend class Claims;
    Claim(Claims* claims, std::string key) : claims_(claims), key_(std::move(key)) {}
    Claims* claims_ = nullptr;
    std::string key_;
  };

  // At most `waiters_max` callers wait at once.
  Claims(Clock* clock, uint32_t waiters_max) : clock_(clock), waiters_max_(waiters_max) {}

  // Wait until nobody else has the claim. DeadlineExceeded; ResourceExhausted if too many wait
  // already. Each names what it is about.
  absl::StatusOr<Claim> OfName(absl::string_view name, absl::Time deadline);
  absl::StatusOr<Claim> OfObject(uint64_t object_id, absl::Time deadline);

 private:
  struct Waiter {
    Parker* parker;
    bool granted = false;
  };

  absl::StatusOr<Claim> Take(std::string key, absl::Time deadline);
  void Give(const std::string& key);
  static std::string Describe(absl::string_view key);

  Clock* const clock_;
  const uint32_t waiters_max_;
  Mutex mutex_;
  // What is claimed, and who waits for it.
  absl::flat_hash_map<std::string, std::deque<Waiter*>> taken_ ABSL_GUARDED_BY(mutex_);
  uint32_t waiters_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_CLAIMS_H_
