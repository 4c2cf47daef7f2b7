// A spill backend for tests: hands everything on to another one, and does harm when it is told to.
//
//   auto fault = std::make_unique<FaultBackend>(NewMemoryBackend());
//   FaultBackend* faults = fault.get();
//   ... open a store with `fault` ...
//   faults->FailNth(FaultBackend::Operation::kWrite, 3, absl::InternalError("planted"));
//   faults->Hold(FaultBackend::Operation::kRead);       // reads now stop ...
//   faults->WaitUntilHeld(FaultBackend::Operation::kRead, 1);
//   faults->LetGo(FaultBackend::Operation::kRead);      // ... until here
//
// Operations are counted per call of Write, Read, Scan or Commit, in the order in which they
// arrive: a test that runs a scenario once for each n, failing the nth operation, has tried every
// one of them.
#ifndef SPILLWAY_SPILL_FAULT_BACKEND_H_
#define SPILLWAY_SPILL_FAULT_BACKEND_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "serialization/mutex.h"
#include "spill/durable_state.h"
#include "spill/spill_backend.h"

namespace spillway {

// Thread-safe, the controls too.
class FaultBackend final : public SpillBackend, public DurableState {
 public:
  enum class Operation { kWrite, kRead, kScan, kCommit };
  // Where a held call stops: before it does anything, or when all is done but the return.
  enum class HoldPoint { kBegin, kCompletion };
  enum class ReadFault {
    kFlipBit,   // a bit of the bytes is wrong, and the status says OK: what a backend must never do
    kShort,     // only the first half of the bytes arrives; Internal
    kDataLoss,  // what a backend answers that has found damage
  };

  explicit FaultBackend(std::unique_ptr<SpillBackend> target);
  // Lets all held calls go.
  ~FaultBackend() override;

  // --- Errors

  // The nth call of `operation` from now on (1 is the next) fails with `status`, all its records
  // with it.
  void FailNth(Operation operation, uint64_t n, absl::Status status);
  // Every call fails, until called with OK.
  void FailAll(Operation operation, absl::Status status);
  // Writes of this object fail, other records of the same call do not. Until called with OK.
  void FailWritesOf(uint64_t object_id, absl::Status status);
  // The nth read of a record from now on (1 is the next) goes wrong in the given way.
  void HarmNthRead(uint64_t n, ReadFault fault);
  // Reads of this object answer DataLoss from now on.
  void Damage(uint64_t object_id);
  // Payload bytes that may be held; a Write that would exceed it is ResourceExhausted. Defaults to
  // no limit.
  void SetCapacity(uint64_t bytes);

  // --- Time

  // Calls of `operation` stop at `point` until they are let go.
  void Hold(Operation operation, HoldPoint point = HoldPoint::kBegin);
  // Lets `count` calls that are held go on, or so many later ones.
  void LetGo(Operation operation, uint64_t count);
  // Lets all go on and holds no more.
  void LetGo(Operation operation);
  // Blocks until `count` calls are held.
  void WaitUntilHeld(Operation operation, uint64_t count);
  uint64_t held(Operation operation) const;

  // --- Events

  // What a crash of the machine would do: records that are not durable are gone. Reads of them
  // answer DataLoss.
  void LoseUnsynced();
  // Moves a record as reclaim would: writes it anew, tells the listener, releases what is not
  // needed. Returns what the listener said; NotFound if there is no such record.
  absl::StatusOr<bool> Relocate(SpillTicket ticket);

  // Tells the listener that a record was found damaged, as reclaim would, and releases it if it is
  // not needed. Returns what the listener said.
  bool ReportDamage(SpillTicket ticket);

  // The tickets of all live records, in their order.
  std::vector<SpillTicket> LiveTickets() const;

  // Calls so far.
  uint64_t operations(Operation operation) const;

  // --- SpillBackend
  void SetRelocationListener(RelocationListener* listener) override;
  uint64_t max_batch_bytes() const override { return target_->max_batch_bytes(); }
  uint64_t memory_bytes_max() const override { return target_->memory_bytes_max(); }
  void Write(absl::Span<const SpillRecord> records, std::vector<SpillResult>* results) override;
  void Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) override;
  void Release(SpillTicket ticket) override;
  absl::Status Scan(const std::function<void(const SpillScanEntry&)>& found) override;
  SpillUsage Usage() const override { return target_->Usage(); }
  absl::Status Health() const override;
  bool WaitForReclaim(int64_t timeout_ms) override { return target_->WaitForReclaim(timeout_ms); }
  absl::StatusOr<uint64_t> ReserveObjectIds(uint64_t count) override {
    return target_->ReserveObjectIds(count);
  }
  absl::Status Close() override;
  DurableState* durable_state() override {
    return target_->durable_state() == nullptr ? nullptr : this;
  }

  // --- DurableState, if the target is one
  absl::Status Commit(const DurableChange& change) override;
  absl::StatusOr<uint64_t> FindName(absl::string_view name) override {
    return target_->durable_state()->FindName(name);
  }
  absl::Status ListNames(
      absl::string_view prefix, absl::string_view after,
      const std::function<bool(absl::string_view name, uint64_t object_id)>& found) override {
    return target_->durable_state()->ListNames(prefix, after, found);
  }
  absl::StatusOr<std::vector<std::string>> NamesOf(uint64_t object_id) override {
    return target_->durable_state()->NamesOf(object_id);
  }
  absl::StatusOr<SpillScanEntry> FindObject(uint64_t object_id) override {
    return target_->durable_state()->FindObject(object_id);
  }

 private:
  static constexpr size_t kOperations = 4;

  // What is planned for the calls of one operation.
  struct Plan {
    uint64_t calls = 0;
    std::map<uint64_t, absl::Status> fail_at;  // by number of the call
    absl::Status fail_all;
    bool hold = false;
    HoldPoint hold_point = HoldPoint::kBegin;
    uint64_t held = 0;
    uint64_t may_go = 0;
  };
  // A record that the target holds.
  struct Record {
    uint64_t object_id = 0;
    ObjectType type;
    uint64_t bytes = 0;
    bool durable = false;
  };

  Plan& plan(Operation operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return plans_[static_cast<size_t>(operation)];
  }
  const Plan& plan(Operation operation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return plans_[static_cast<size_t>(operation)];
  }
  // Counts a call and stops it where it is to be held; returns the error that is planned for it.
  absl::Status Begin(Operation operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void Complete(Operation operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void StopIfHeld(Operation operation, HoldPoint point) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The error that is planned for one record of a write; counts its bytes as held if there is none.
  absl::Status Admit(const SpillRecord& record) ABSL_LOCKS_EXCLUDED(mutex_);
  // The record is not held any more.
  void Forget(SpillTicket ticket) ABSL_LOCKS_EXCLUDED(mutex_);
  void ForgetDurable(uint64_t object_id) ABSL_LOCKS_EXCLUDED(mutex_);
  void Harm(const SpillRead& read, absl::Status* status) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<SpillBackend> target_;

  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::array<Plan, kOperations> plans_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, absl::Status> fail_writes_of_ ABSL_GUARDED_BY(mutex_);  // by object id
  std::map<uint64_t, ReadFault> harm_at_ ABSL_GUARDED_BY(mutex_);  // by number of the read
  uint64_t records_read_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, bool> damaged_ ABSL_GUARDED_BY(mutex_);  // by object id
  uint64_t capacity_bytes_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t admitted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<SpillTicket, Record> records_ ABSL_GUARDED_BY(mutex_);
  std::map<SpillTicket, Record> lost_ ABSL_GUARDED_BY(mutex_);
  RelocationListener* listener_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace spillway

#endif  // SPILLWAY_SPILL_FAULT_BACKEND_H_
