// A store that a test holds by its seams: time stands still until the test moves it, and the spill
// tier waits, fails and damages as it is told.
#ifndef SPILLWAY_TESTS_STORE_HELD_STORE_H_
#define SPILLWAY_TESTS_STORE_HELD_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "glog/logging.h"
#include "spill/fault_backend.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/clock_executor.h"
#include "tests/store/memory/fake_clock.h"

namespace spillway {

// Bytes that tell which object they belong to.
inline std::string BytesOfSeed(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  for (char& c : bytes) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>(x);
  }
  return bytes;
}

struct HeldStore {
  static constexpr int kJobs = 2;  // background threads, which are parked when there is no work

  enum class SpillTier { kMemory, kNone };

  explicit HeldStore(SpillTier tier = SpillTier::kMemory,
                     SpillRecovery recovery = SpillRecovery::kDiscard,
                     StoreOptions options = StoreOptions()) {
    options.recovery = recovery;
    options.memory_limit_bytes = 16 * kMiB;
    options.clock = &clock;
    options.executor = &executor;
    std::unique_ptr<FaultBackend> backend;
    if (tier == SpillTier::kMemory) {
      backend = std::make_unique<FaultBackend>(NewMemoryBackend());
      faults = backend.get();
    }
    auto opened = ObjectStore::Open(options, std::move(backend));
    CHECK(opened.ok()) << opened.status();
    store = *std::move(opened);
  }

  // Waits until nothing moves and `threads` of the test's threads wait inside the store.
  void AwaitWaiting(int threads) { clock.AwaitParked(kJobs + threads); }

  std::string State(ObjectId id) const {
    const auto metadata = store->Metadata(id);
    return metadata.ok() ? metadata->state : metadata.status().ToString();
  }

  // Asks for the largest object, without waiting, then for all the rest in pieces, and gives it
  // back: drops whatever is clean and unpinned. Whether there was room for the largest object.
  bool Squeeze() {
    PutOptions options;
    options.wait_for_room_max = absl::ZeroDuration();
    std::vector<ObjectBuilder> all;
    for (uint64_t bytes = store->Stats().max_object_bytes; bytes >= 4 * kKiB;) {
      auto builder = store->Create(bytes, options);
      if (builder.ok()) {
        all.push_back(*std::move(builder));
      } else {
        bytes /= 4;
      }
    }
    return !all.empty() && all.front().data().size() == store->Stats().max_object_bytes;
  }

  // Has a clean object dropped. REQUIRES: none of the test's threads waits inside the store.
  void MakeCold(ObjectId id) {
    constexpr int kTriesMax = 100;
    for (int i = 0; i < kTriesMax && State(id) != "Cold"; ++i) {
      // What a job has taken up to look at cannot be dropped meanwhile.
      AwaitWaiting(0);
      Squeeze();
    }
    CHECK_EQ(State(id), "Cold");
  }

  ObjectRef<std::string> PutCold(const std::string& bytes) {
    ObjectRef<std::string> ref = store->Put(bytes).value();
    CHECK(store->Flush().ok());
    MakeCold(ref.id());
    return ref;
  }

  // Pinned objects of a MiB until no more fits.
  void FillWithPinned() {
    PutOptions options;
    options.wait_for_room_max = absl::ZeroDuration();
    for (;;) {
      auto ref = store->Put(BytesOfSeed(1 << 20, pinned.size()), options);
      if (!ref.ok()) return;
      pinned.push_back(ref->Get().value());
      pinned_refs.push_back(*std::move(ref));
    }
  }

  uint64_t records_on_disk() const { return faults->Usage().live_records; }

  FakeClock clock;
  ClockExecutor executor{&clock};
  FaultBackend* faults = nullptr;  // owned by the store
  std::unique_ptr<ObjectStore> store;
  std::vector<ObjectRef<std::string>> pinned_refs;
  std::vector<ObjectView<std::string>> pinned;
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_HELD_STORE_H_
