// The engine behind ObjectStore, refs and views: entries' states, room in memory, spilling,
// restoring.
//
// An object's way, file by file:
//
//     store_put.cc      Begin: room, an entry, a block   ->  Seal: Hot, visible
//     store_room.cc     AcquireBlock: room from the arena, or by dropping, or by waiting in turn
//     spiller.cc        victims written in batches       ->  Clean
//     store_room.cc     DropSome: clean ones dropped     ->  Cold
//     store_get.cc      PinSlow: restored                ->  Clean, pinned
//     store_core.cc     the ends: last ref, last pin, Delete, Close
//     store_passing.cc  gets that promote nothing, or that call back
//     store_durable.cc  Persist and names: found again by another process
//
// Locks, in the order in which they may be taken: a stripe's mutex (at most one at a time), then
// the id index, the evictor, the entry table, the arena, the budget. None is held during I/O or a
// wait.
//
// The core lives as long as the store or any entry: it is counted by lives_.
#ifndef SPILLWAY_STORE_INTERNAL_STORE_CORE_H_
#define SPILLWAY_STORE_INTERNAL_STORE_CORE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "serialization/mutex.h"
#include "spill/durable_state.h"
#include "spill/spill_backend.h"
#include "store/internal/async_gets.h"
#include "store/internal/claims.h"
#include "store/internal/counters.h"
#include "store/internal/entry.h"
#include "store/internal/entry_table.h"
#include "store/internal/evictor.h"
#include "store/internal/id_index.h"
#include "store/internal/memory/admission_queue.h"
#include "store/internal/memory/arena.h"
#include "store/internal/memory/memory_budget.h"
#include "store/internal/restore_cost.h"
#include "store/internal/spiller.h"
#include "store/object_id.h"
#include "store/options.h"
#include "store/seams.h"
#include "store/stats.h"

namespace spillway::internal {

// A restore in progress, and those who wait for it. Everybody gets the same status.
class RestoreOperation {
 public:
  // Waits for Finish. DeadlineExceeded if `deadline` passes first.
  absl::Status Wait(Clock* clock, absl::Time deadline);
  void Finish(absl::Status status);

 private:
  Mutex mutex_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::InlinedVector<Parker*, 2> waiters_ ABSL_GUARDED_BY(mutex_);
};

using ReadyCallback = std::function<void()>;
// Takes over a ref and a pin on the entry, which is Pending again: the promise of its value.
using LossCallback = std::function<void(const absl::Status& why, Entry* entry)>;

// That an object is to be durable, and perhaps to have a name.
struct DurableRequest {
  std::string name;  // empty for none
  bool replace = false;
  absl::Duration wait = -absl::Seconds(1);  // for room; negative for the store's default
};

// What few entries have.
struct EntryExtras {
  std::vector<std::pair<uint64_t, ReadyCallback>> on_ready;  // by number
  absl::Status failure;                                      // of a Failed entry
  LossCallback on_loss;                                      // may be empty
  // Of views, as given at Get; number n stands at n - 1, a null is free.
  std::vector<const char*> labels;
  std::vector<Entry*> contains;             // one ref held on each
  uint32_t explicit_pins = 0;               // by Pin, each also a pin in the word
  bool kept = false;                        // by PutOptions.keep, a ref in the word
  std::unique_ptr<DurableRequest> persist;  // by PutOptions, for Seal; null for none

  bool empty() const {
    return on_ready.empty() && failure.ok() && !on_loss && labels.empty() && contains.empty() &&
           explicit_pins == 0 && !kept && persist == nullptr;
  }
};

// Thread-safe.
class StoreCore final : public RelocationListener {
 public:
  static absl::StatusOr<StoreCore*> Open(const StoreOptions& options,
                                         std::unique_ptr<SpillBackend> backend);

  // ---- Puts (store_put.cc) ----
  // A new entry in state Building, with one ref and a block of `size` bytes.
  absl::StatusOr<Entry*> Begin(uint64_t size, uint16_t type, const PutOptions& options);
  // Publishes it, and gives up the pin under which it was built. Unavailable or NotFound if the
  // store was closed or the object deleted meanwhile.
  absl::Status Seal(Entry* entry);
  // Gives up an entry that was begun and will not be sealed.
  void Abandon(Entry* entry);
  // For what grows from its end downwards while it is built: a block of `size` bytes instead, whose
  // last `keep_tail` and first `keep_head` bytes are the old one's.
  absl::StatusOr<uint64_t> Regrow(Entry* entry, uint64_t size, uint64_t keep_tail,
                                  uint64_t keep_head);
  // The payload is the last `size` bytes of the block.
  void KeepTail(Entry* entry, uint64_t size);

  // ---- Promises (store_pending.cc) ----
  // A new entry in state Pending, with a ref and a pin for the promise and another ref for the
  // caller.
  absl::StatusOr<Entry*> BeginPending(uint16_t type, const PutOptions& options);
  // Room for the value; Seal publishes it. NotFound or Unavailable if nobody can get it any more.
  absl::Status Fulfil(Entry* entry, uint64_t size);
  // From here on the object contains these, too. Errors as CheckContains.
  absl::Status Contain(Entry* entry, absl::Span<const AnyRef> refs);
  // In place of a value: an error for everybody who asks. `status` must not be OK.
  void Fail(Entry* entry, absl::Status status);
  // Calls back once the object is no longer pending: at once, on this thread, if it is not; else on
  // the thread that ends it, with no lock held. Returns what RemoveCallback takes; 0 if it was
  // called.
  uint64_t OnReady(Entry* entry, std::function<void()> callback);
  void RemoveCallback(Entry* entry, uint64_t number);
  // Waits until `count` of the entries are no longer pending. Returns how many are not. If the
  // thread's wait hook does not let it wait, `refused` says why.
  size_t WaitReady(absl::Span<Entry* const> entries, size_t count, absl::Time deadline,
                   absl::Status* refused = nullptr);
  absl::Status WaitWhilePending(Entry* entry, absl::Duration wait);
  // Why the entry has no value and will have none; OK if it has, or may yet.
  absl::Status ErrorOf(Entry* entry);
  // Whom a get calls that finds the value dropped or damaged; it then waits for a new one. Empty
  // for nobody.
  void OnLoss(Entry* entry, LossCallback callback);
  Clock* clock() const { return clock_; }

  // ---- What outlives the process (store_durable.cc) ----
  // As AnyRef::Persist, ObjectStore::Bind, Unbind and Find. REQUIRES: the caller holds a ref.
  absl::Status Persist(Entry* entry);
  absl::Status Bind(Entry* entry, absl::string_view name, bool replace);
  absl::Status Unbind(absl::string_view name);
  // The entry with one more ref.
  absl::StatusOr<Entry*> FindByName(absl::string_view name);
  absl::StatusOr<std::vector<std::string>> NamesOf(uint64_t id) const;
  absl::Status ListNames(absl::string_view prefix, absl::string_view after,
                         absl::FunctionRef<bool(absl::string_view name, uint64_t id)> found) const;

  // ---- Hints (store_pending.cc) ----
  void Hint(Entry* entry, PolicyHint hint);

  // ---- Gets (store_get.cc) ----
  // Takes the time of a get of the same bytes. REQUIRES: the caller holds a pin.
  void TimeHit(Entry* entry);
  // A pin on the entry's bytes after TryPin failed: waits, restores, or says why not.
  absl::Status PinSlow(Entry* entry, const GetOptions& options);
  // Pins many; statuses[i] tells whether entries[i] is pinned. If they may not wait, those that
  // find no room, or whom somebody else is restoring, answer Unavailable.
  void PinMany(absl::Span<Entry* const> entries, const GetOptions& options,
               std::vector<absl::Status>* statuses, bool may_wait = true);

  // ---- Gets aside (store_passing.cc) ----
  // A pin on the entry's bytes, or, if the options say not to promote it, on those of a copy, which
  // takes the entry's place in *entry.
  absl::Status PinInPlaceOrPassing(Entry** entry, const GetOptions& options);
  absl::Status PinInPassing(Entry** entry, const GetOptions& options);
  // As AsyncGets::Get, and Prefetch within what is good for the store.
  void GetAsync(Entry* entry, const GetOptions& options,
                std::function<void(absl::Status status, Entry* pinned)> callback);
  size_t Prefetch(absl::Span<Entry* const> entries);
  // Orders the entries by where their records lie on disk; (*order)[i] is where entry i was.
  void SortByPlace(std::vector<Entry*>* entries, std::vector<size_t>* order);
  // The calling thread's counters.
  CounterBlock& my_counters() { return counters_.Mine(); }
  // What a get that met resident bytes leaves behind: marks and counts.
  void CountHit(Entry* entry) { CountHit(entry, counters_.Mine()); }
  void CountHit(Entry* entry, CounterBlock& mine) {
    const uint8_t marks = entry->marks.load(std::memory_order_relaxed);
    if (hit_tracking_ == HitTracking::kOrderedOnce) {
      // One use until the policy has seen it.
      if (marks == 0) {
        // First the mark: who takes the hit from the ring takes the mark, too.
        entry->marks.store(Evictor::kHitReported, std::memory_order_relaxed);
        if (!mine.PushHit(entry->slot)) {
          entry->marks.store(Evictor::kHitUnreported, std::memory_order_relaxed);
        }
      }
    } else {
      if (marks != 255) entry->marks.store(marks + 1, std::memory_order_relaxed);
      if (hit_tracking_ == HitTracking::kOrdered) mine.PushHit(entry->slot);
    }
    const uint32_t now = now_ds_.load(std::memory_order_relaxed);
    if (entry->accessed_ds.load(std::memory_order_relaxed) != now) {
      entry->accessed_ds.store(now, std::memory_order_relaxed);
    }
    if (mine.Add(Counter::kHits) % kHitsPerSample == 0) [[unlikely]]
      TimeHit(entry);
  }

  // ---- By id ----
  // The entry with one more ref; NotFound.
  absl::StatusOr<Entry*> Find(ObjectId id);
  // The entry with one more pin, if its bytes are resident; else null.
  Entry* FindResident(ObjectId id) const { return index_->FindAndPin(id.value); }
  // What `container` contains under `id`, with one more ref, deleted or not; null if it does not.
  // REQUIRES: the caller keeps the container by a ref or a pin.
  Entry* FindContained(Entry* container, ObjectId id);

  // ---- Ends (store_core.cc) ----
  absl::Status Delete(Entry* entry);
  void Unpin(Entry* entry);
  void Unref(Entry* entry);
  // Keeps, or gives up, a pin beyond any view. REQUIRES for the first: the caller holds a pin,
  // which it hands over.
  void AddExplicitPin(Entry* entry);
  absl::Status RemoveExplicitPin(Entry* entry);
  // Who holds a view, by a name that outlives it. Returns the label's number, 0 if the object has
  // too many to note one more. REQUIRES: the caller holds a pin.
  uint16_t AddLabel(Entry* entry, const char* label);
  void RemoveLabel(Entry* entry, uint16_t number);

  // ---- The whole ----
  absl::Status Flush();
  absl::Status SetMemoryLimit(uint64_t memory_limit_bytes);
  uint64_t Trim() { return arena_->Trim(~uint64_t{0}); }
  StoreStats Stats();
  // Calls visit(entry, extras or null, refs by containers) for every object, under its stripe lock.
  void VisitHolders(absl::FunctionRef<void(const Entry*, const EntryExtras*, uint32_t)> visit);
  absl::Status Close();
  // The store object is gone: closes whatever is pinned, and deletes the core when the last handle
  // goes.
  void Orphan();
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  uint64_t memory_limit_bytes() const { return budget_.limit_bytes(); }
  uint64_t max_object_bytes() const { return max_object_bytes_.load(std::memory_order_relaxed); }
  absl::Time TimeOf(uint32_t deciseconds) const;
  std::string Describe(const Entry* entry) const;

  // RelocationListener.
  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override;
  bool OnDamaged(SpillTicket ticket) override;

 private:
  friend class Spiller;

  static constexpr int kStripes = 64;

  struct alignas(64) Stripe {
    Mutex mutex;
    absl::flat_hash_map<uint32_t, std::shared_ptr<RestoreOperation>> restores
        ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<uint32_t, EntryExtras> extras ABSL_GUARDED_BY(mutex);
  };

  // What has to happen after a stripe lock was given back.
  struct Aftermath {
    std::vector<Entry*> released;  // refs of a container that went
    std::vector<ReadyCallback> callbacks;
    LossCallback discarded;  // may hold refs
    bool entry_freed = false;
    bool room_made = false;
    bool holds_life = false;  // of the core, to be given up last
  };

  explicit StoreCore(const StoreOptions& options);
  ~StoreCore();
  absl::Status Start(std::unique_ptr<SpillBackend> backend);

  Stripe& StripeOf(const Entry* entry) { return stripes_[entry->slot % kStripes]; }

  // -- store_core.cc. With the entry's stripe lock held. --
  // Changes state and flags, and takes `counts` (kPinOne, or none) from the counts, by one
  // exchange. Returns the word it wrote. REQUIRES: the caller holds the counts.
  static uint64_t Transit(Entry* entry, State state, uint64_t set_flags = 0,
                          uint64_t clear_flags = 0, uint64_t counts = 0);
  // Nobody can get the object any more; its bytes go with the last pin.
  void MarkDead(Entry* entry, Stripe& stripe, State state, Aftermath* after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  // What is left to do once `word`, which says that the object is dead, was written.
  void Bury(Entry* entry, Stripe& stripe, uint64_t word, Aftermath* after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  void FreeBytes(Entry* entry, Aftermath* after);
  void ReleaseTicket(Entry* entry);
  void FreeEntryIfUnused(Entry* entry, Stripe& stripe, Aftermath* after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  static void TakeCallbacks(EntryExtras& extras, Aftermath* after);
  // Without it.
  void Finish(Aftermath after);
  void DropLife();
  void CloseEntry(Entry* entry);

  // As Delete, but for the durable record, which is the caller's to end. Aborted, and nothing is
  // done, if any of the flags `unless` is set.
  absl::Status DeleteEntry(Entry* entry, uint64_t unless);

  // -- store_durable.cc --
  // FailedPrecondition if the store has none, or wipes it.
  absl::StatusOr<DurableState*> Durable() const;
  absl::StatusOr<DurableState*> DurableForChange() const;
  // What is wrong with a put's wish to be durable or to have a name.
  absl::Status CheckDurable(const PutOptions& options);
  absl::Status MakeDurable(Entry* entry, const DurableRequest& request);
  absl::Status MakeContentsDurable(Entry* entry, const DurableRequest& request);
  absl::Status MakeOneDurable(DurableState* state, Entry* entry, const DurableRequest& request);
  // Whether the object has this name and no other. REQUIRES: the object is claimed.
  static absl::StatusOr<bool> IsLastName(DurableState* state, absl::string_view name, uint64_t id);
  // For an object that has a durable record.
  static absl::Status KeepDurable(DurableState* state, uint64_t id, const std::string& name,
                                  uint64_t retires);
  // For one that has none.
  absl::Status WriteDurable(DurableState* state, Entry* entry, const DurableRequest& request,
                            uint64_t retires);
  // If nobody is writing the Hot object to disk, it is written by the caller, who holds a pin.
  bool ClaimForPersist(Entry* entry);
  void SettlePersist(Entry* entry, bool claimed, const SpillResult& result);
  // Catches up with a move of a durable record that came before the entry knew its ticket.
  void FollowDurable(Entry* entry);
  // The spill tier was told that nobody but this process's refs keeps the object. REQUIRES: it is
  // claimed.
  void Retire(DurableState* state, uint64_t id);
  // A durable object that has no entry, with one ref.
  absl::StatusOr<Entry*> FindDurable(uint64_t id);
  absl::Status DeleteDurable(Entry* entry);
  bool IsDurableAt(uint64_t id, SpillTicket ticket) const;

  // -- store_put.cc --
  // An entry in the given state, in the index, without bytes. If there is a block of `size` bytes
  // at hand, it is taken on the way, and `offset` says where; else that stays as it is.
  absl::StatusOr<Entry*> AcquireEntry(uint64_t id, State state, uint16_t type,
                                      const PutOptions& options, uint64_t size = 0,
                                      uint64_t* offset = nullptr);
  // What is left of Seal for an object that is to be durable.
  absl::Status SealDurable(Entry* entry, const DurableRequest& request, bool was_pending);
  // What is wrong with options of a put that are not plain.
  absl::Status CheckPutOptions(const PutOptions& options);
  // ResourceExhausted if an object of `size` bytes could never fit.
  absl::Status CheckSize(uint64_t size);
  // InvalidArgument or NotFound if an object cannot contain what the options say.
  absl::Status CheckContains(absl::Span<const AnyRef> refs);
  static void AddContained(absl::Span<const AnyRef> refs, EntryExtras* extras);
  absl::StatusOr<uint64_t> NewId();
  // Takes the next block of ids from the spill directory, in which they are never given out again.
  absl::Status ReserveIds();

  // -- store_get.cc --
  // By the thread that began the restore: brings the bytes in. On OK the entry is Clean with one
  // more pin; Aborted: their loss made it Pending.
  absl::Status Restore(Entry* entry, SpillTicket ticket, absl::Duration wait);
  // Repeats a failed read if the record has moved meanwhile.
  absl::Status FollowMoves(Entry* entry, SpillRead read, absl::Status status);
  // If somebody wants to hear that the value of a Cold or Dropped entry is gone: makes the entry
  // Pending, and lets Finish call them.
  bool BeginAnew(Entry* entry, Stripe& stripe, absl::Status why, Aftermath* after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  // Publishes the bytes at `offset`, or gives them back, and tells those who wait. Returns as
  // Restore.
  absl::Status FinishRestore(Entry* entry, uint64_t offset, absl::Status status);
  std::shared_ptr<RestoreOperation> BeginRestore(Entry* entry, Stripe& stripe)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  absl::Status WhyNoBytes(Entry* entry, State state, Stripe& stripe)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stripe.mutex);
  // Until when to wait for another caller's restore: its room, and then its read.
  absl::Time JoinDeadline(absl::Duration wait) const;

  // -- store_passing.cc --
  // A dead entry under one pin, with a block of its own for the bytes of an original whose word was
  // `word`.
  absl::StatusOr<Entry*> MakeCopyEntry(const Entry* original, uint64_t word, absl::Duration wait);
  // As AcquireBlock, but what the policy holds goes last.
  absl::StatusOr<uint64_t> AcquireBlockInPassing(uint64_t size, uint32_t slot, absl::Duration wait);

  // -- store_room.cc --
  // A block of `size` bytes, after waiting for room up to `wait` (negative: the store's default).
  absl::StatusOr<uint64_t> AcquireBlock(uint64_t size, uint32_t slot, absl::Duration wait);
  // The same without waiting; kNoBytes if there is no room.
  uint64_t TryAcquireBlock(uint64_t size, uint32_t slot);
  // Calls `attempt` until it is true: at once, after dropping objects, or after waiting in turn.
  // A refusal is counted under `refused`. Attempts are told how far to go: kReclaim when dropping
  // alone has not helped.
  absl::Status WithRoom(uint64_t size, const char* what, Counter refused, absl::Duration wait,
                        absl::FunctionRef<bool(AllocateEffort)> attempt);
  bool TryWithDrops(uint64_t size, absl::FunctionRef<bool(AllocateEffort)> attempt);
  absl::Status WaitForRoom(uint64_t size, const char* what, Counter refused, absl::Duration wait,
                           absl::FunctionRef<bool(AllocateEffort)> attempt);
  // Drops objects that can go without I/O until blocks of `want_bytes` are free. Returns the bytes
  // freed.
  // Spares objects that are needed soon unless nothing else can go, nor will once it is written.
  uint64_t DropSome(uint64_t want_bytes);
  uint64_t DropSome(uint64_t want_bytes, bool spare_needed, bool* found_dirty);
  enum class DropResult { kDropped, kDirty, kPinned, kGone };
  DropResult TryDrop(const Evictor::Victim& victim, bool spare_needed, uint64_t* freed);
  DropResult DropLocked(Entry* entry, bool spare_needed, Aftermath* after);
  // Moves objects out of the sparsest spans, so that whole pages come free. Returns the objects
  // moved.
  uint64_t Compact(uint64_t want_bytes);
  bool Move(uint32_t slot);
  // Whether room may come without anybody giving something up: writes in flight, or to come.
  bool RoomMayCome() const;
  absl::Status NoRoom(uint64_t size, const char* what, Counter refused);
  std::string LargestPinHolders();
  // Bytes in use that cannot be had back without I/O.
  uint64_t UnreclaimableBytes() const;
  void WakeSpillerIfNeeded();
  absl::Time DeadlineOf(absl::Duration wait) const;
  uint64_t PolicyCapacity() const;
  uint64_t LargestObject() const;

  void NoteTime();

  // What every get reads, on one cache line: hardly ever written.
  alignas(64) std::atomic<uint32_t> now_ds_{0};
  HitTracking hit_tracking_ = HitTracking::kMarks;  // constant after Start
  Counters counters_;

  // Constant after Start.
  alignas(64) StoreOptions options_;
  Clock* const clock_;
  Executor* const executor_;
  absl::Time opened_;
  uint64_t backend_memory_bytes_ = 0;

  std::atomic<uint64_t> lives_{1};
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> next_id_{1};
  std::atomic<uint64_t> end_id_{uint64_t{1} << 48};  // ids from here on are not ours yet
  std::atomic<uint64_t> next_callback_{1};
  Mutex ids_mutex_;
  bool reserved_ids_ ABSL_GUARDED_BY(ids_mutex_) = false;
  std::atomic<uint64_t> max_object_bytes_{0};

  MemoryBudget budget_;
  Reservation fixed_;  // counters, stripes, batches' tables
  Reservation backend_reservation_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<EntryTable> entries_;
  std::unique_ptr<IdIndex> index_;
  std::unique_ptr<Evictor> evictor_;
  RestoreCost restore_cost_;
  std::unique_ptr<AdmissionQueue> room_queue_;
  Claims claims_;
  std::unique_ptr<SpillBackend> backend_;
  std::unique_ptr<Spiller> spiller_;
  std::unique_ptr<AsyncGets> async_gets_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_STORE_CORE_H_
