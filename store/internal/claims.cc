#include "store/internal/claims.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway::internal {

namespace {

// The first byte of a key.
constexpr char kName = 'n';
constexpr char kObject = 'o';

}  // namespace

absl::StatusOr<Claims::Claim> Claims::OfName(absl::string_view name, absl::Time deadline) {
  return Take(absl::StrCat(absl::string_view(&kName, 1), name), deadline);
}

absl::StatusOr<Claims::Claim> Claims::OfObject(uint64_t object_id, absl::Time deadline) {
  return Take(absl::StrFormat("%c%016x", kObject, object_id), deadline);
}

std::string Claims::Describe(absl::string_view key) {
  return absl::StrCat(key[0] == kName ? "the name " : "object ", key.substr(1));
}

absl::StatusOr<Claims::Claim> Claims::Take(std::string key, absl::Time deadline) {
  std::unique_ptr<Parker> parker;
  Waiter waiter{nullptr};
  {
    MutexLock lock(&mutex_);
    const auto [taken, is_new] = taken_.try_emplace(key);
    if (is_new) return Claim(this, std::move(key));
    if (waiters_ >= waiters_max_) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%s is being changed, and %d callers wait for such changes already (waiters_max)",
          Describe(key), waiters_));
    }
    parker = clock_->NewParker();
    waiter.parker = parker.get();
    taken->second.push_back(&waiter);
    ++waiters_;
  }
  for (;;) {
    const bool in_time = parker->Park(deadline);
    MutexLock lock(&mutex_);
    if (!waiter.granted && in_time) continue;
    --waiters_;
    if (waiter.granted) return Claim(this, std::move(key));
    std::deque<Waiter*>& waiting = taken_.at(key);
    waiting.erase(std::find(waiting.begin(), waiting.end(), &waiter));
    return absl::DeadlineExceededError(
        absl::StrCat("other changes of ", Describe(key), " took too long"));
  }
}

void Claims::Give(const std::string& key) {
  MutexLock lock(&mutex_);
  const auto taken = taken_.find(key);
  if (taken->second.empty()) {
    taken_.erase(taken);
    return;
  }
  Waiter* next = taken->second.front();
  taken->second.pop_front();
  next->granted = true;
  next->parker->Unpark();  // under the lock: the parker is gone once its waiter has seen the grant
}

}  // namespace spillway::internal
