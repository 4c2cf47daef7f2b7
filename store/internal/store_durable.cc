// Objects that outlive the process: made durable, named, found again, let go.
//
// Three flags of the word tell where an object stands:
//
//     kPersisting   a durable record of it is being written, or the spill tier asked to keep it
//     kDurable      its record on the spill tier is durable
//     kRetired      with kDurable: nobody but the refs of this process keeps it any more
//
// They change under the object's claim, and under its stripe lock. A durable object that is not
// retired has no entry while nobody refers to it: the last ref that goes takes only the entry. A
// lookup by id or by name then makes a new one, Cold, from what the spill tier knows.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "store/internal/handle.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"

namespace spillway::internal {

namespace {

// Between two attempts to write a durable record for which there is no space.
constexpr absl::Duration kBackoffMin = absl::Milliseconds(10);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);

// A name that is bound anew while it is looked up is looked up again this often, and then under its
// claim.
constexpr int kFindNameTries = 3;

bool IsHeld(uint64_t word) { return (word & (kDurable | kRetired)) == kDurable && !IsDead(word); }

absl::Status NotThere(uint64_t id) {
  return absl::NotFoundError(absl::StrCat("no object ", ToString({id}), ": unknown or deleted"));
}

absl::Status CheckObjectName(absl::string_view name) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  const size_t nul = name.find('\0');
  if (nul == absl::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("a name may not contain a NUL byte, this one has one at %d", nul));
}

absl::Status NoSuchName(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("no object has the name ", name));
}

absl::Status IsTaken(absl::string_view name, uint64_t id) {
  return absl::AlreadyExistsError(absl::StrCat("the name ", name, " is bound to object ",
                                               ToString({id}), ", and replace was not asked for"));
}

}  // namespace

absl::StatusOr<DurableState*> StoreCore::Durable() const {
  if (closed()) return absl::UnavailableError("the store is closed");
  if (backend_ == nullptr) {
    return absl::FailedPreconditionError(
        "a memory-only store keeps nothing beyond the process: set StoreOptions.spill_directory");
  }
  DurableState* state = backend_->durable_state();
  if (state == nullptr) {
    return absl::FailedPreconditionError("this store's spill tier keeps no durable objects");
  }
  return state;
}

absl::StatusOr<DurableState*> StoreCore::DurableForChange() const {
  absl::StatusOr<DurableState*> state = Durable();
  if (state.ok() && options_.recovery != SpillRecovery::kKeep) {
    return absl::FailedPreconditionError(
        "this store wipes its spill directory: set StoreOptions.recovery to kKeep for durable "
        "objects and names");
  }
  return state;
}

absl::Status StoreCore::CheckDurable(const PutOptions& options) {
  if (!options.durable && !options.name.has_value()) {
    if (!options.replace) return absl::OkStatus();
    return absl::InvalidArgumentError("PutOptions.replace is set without a name");
  }
  const absl::StatusOr<DurableState*> state = DurableForChange();
  if (!state.ok()) return state.status();
  if (options.on_evict == OnEvict::kDrop) {
    return absl::InvalidArgumentError("an object cannot be durable and OnEvict::kDrop");
  }
  if (!options.name.has_value()) return absl::OkStatus();
  if (absl::Status status = CheckObjectName(*options.name); !status.ok()) return status;
  // Not the last word, but it comes before the work.
  const absl::StatusOr<uint64_t> bound = (*state)->FindName(*options.name);
  if (bound.ok() && !options.replace) return IsTaken(*options.name, *bound);
  return absl::IsNotFound(bound.status()) ? absl::OkStatus() : bound.status();
}

absl::Status StoreCore::Persist(Entry* entry) { return MakeDurable(entry, {}); }

absl::Status StoreCore::Bind(Entry* entry, absl::string_view name, bool replace) {
  if (absl::Status status = CheckObjectName(name); !status.ok()) return status;
  DurableRequest request;
  request.name = std::string(name);
  request.replace = replace;
  return MakeDurable(entry, request);
}

absl::Status StoreCore::MakeDurable(Entry* entry, const DurableRequest& request) {
  const absl::StatusOr<DurableState*> state = DurableForChange();
  if (!state.ok()) return state.status();
  if (absl::Status status = MakeContentsDurable(entry, request); !status.ok()) return status;
  return MakeOneDurable(*state, entry, request);
}

absl::Status StoreCore::MakeContentsDurable(Entry* entry, const DurableRequest& request) {
  // Containers are left on the stack until what they contain is durable: a loop, so that a chain
  // may have any length.
  struct Level {
    Entry* entry;
    bool expanded;
  };
  std::vector<Level> stack;
  const auto push_contents = [&](Entry* container) {
    Stripe& stripe = StripeOf(container);
    MutexLock lock(&stripe.mutex);
    const auto extras = stripe.extras.find(container->slot);
    if (extras == stripe.extras.end()) return;
    for (Entry* contained : extras->second.contains) {
      internal::Ref(contained);
      stack.push_back({contained, false});
    }
  };
  push_contents(entry);
  const absl::StatusOr<DurableState*> state = Durable();
  absl::Status status = state.status();
  DurableRequest of_contents;
  of_contents.wait = request.wait;
  while (!stack.empty()) {
    Level& top = stack.back();
    Entry* contained = top.entry;
    const uint64_t word = contained->word.load(std::memory_order_acquire);
    if (status.ok() && !IsHeld(word) && !IsDead(word)) {
      if (!top.expanded) {
        top.expanded = true;
        push_contents(contained);
        continue;
      }
      status = MakeOneDurable(*state, contained, of_contents);
    }
    stack.pop_back();
    internal::Unref(contained);
  }
  return status;
}

absl::Status StoreCore::MakeOneDurable(DurableState* state, Entry* entry,
                                       const DurableRequest& request) {
  const uint64_t id = entry->id.load(std::memory_order_relaxed);
  if (request.name.empty() && IsHeld(entry->word.load(std::memory_order_acquire))) {
    return absl::OkStatus();
  }
  const absl::Time deadline = clock_->Now() + options_.wait_for_change_max;
  Claims::Claim name_claim, first_claim, second_claim;
  uint64_t old_id = 0;  // what the name means now
  if (!request.name.empty()) {
    absl::StatusOr<Claims::Claim> claim = claims_.OfName(request.name, deadline);
    if (!claim.ok()) return claim.status();
    name_claim = *std::move(claim);
    const absl::StatusOr<uint64_t> bound = state->FindName(request.name);
    if (!bound.ok() && !absl::IsNotFound(bound.status())) return bound.status();
    if (bound.ok() && !request.replace && *bound != id) return IsTaken(request.name, *bound);
    if (bound.ok() && *bound != id) old_id = *bound;
  }
  const uint64_t ids[] = {std::min(id, old_id), std::max(id, old_id)};
  for (int i = 0; i < 2; ++i) {
    if (ids[i] == 0) continue;
    absl::StatusOr<Claims::Claim> claim = claims_.OfObject(ids[i], deadline);
    if (!claim.ok()) return claim.status();
    (i == 0 ? first_claim : second_claim) = *std::move(claim);
  }
  // The old one may have been deleted before we had it; else it stays as it is from here on.
  const absl::StatusOr<bool> retires_old =
      old_id == 0 ? false : IsLastName(state, request.name, old_id);
  if (!retires_old.ok()) return retires_old.status();
  const uint64_t retires = *retires_old ? old_id : 0;

  uint64_t word = 0;
  {
    Stripe& stripe = StripeOf(entry);
    MutexLock lock(&stripe.mutex);
    word = entry->word.load(std::memory_order_acquire);
    if (IsDead(word)) return WhyNoBytes(entry, StateOf(word), stripe);
    entry->word.fetch_or(kPersisting, std::memory_order_relaxed);
  }
  absl::Status status = (word & kDurable) != 0 ? KeepDurable(state, id, request.name, retires)
                                               : WriteDurable(state, entry, request, retires);
  {
    MutexLock lock(&StripeOf(entry).mutex);
    uint64_t clear = kPersisting;
    if (status.ok()) clear |= kRetired;
    entry->word.fetch_and(~clear, std::memory_order_acq_rel);
  }
  if (status.ok() && retires != 0) Retire(state, retires);
  return status;
}

absl::StatusOr<bool> StoreCore::IsLastName(DurableState* state, absl::string_view name,
                                           uint64_t id) {
  const absl::StatusOr<std::vector<std::string>> names = state->NamesOf(id);
  if (!names.ok()) return names.status();
  return names->size() == 1 && names->front() == name;
}

absl::Status StoreCore::KeepDurable(DurableState* state, uint64_t id, const std::string& name,
                                    uint64_t retires) {
  DurableChange change;
  if (!name.empty()) change.bind.push_back({name, id});
  if (retires != 0) change.retire.push_back(retires);
  change.unretire.push_back(id);
  return state->Commit(change);
}

absl::Status StoreCore::WriteDurable(DurableState* state, Entry* entry,
                                     const DurableRequest& request, uint64_t retires) {
  GetOptions get;
  get.wait_for_room_max = request.wait;
  if (absl::Status status = PinSlow(entry, get); !status.ok()) return status;
  const uint64_t id = entry->id.load(std::memory_order_relaxed);
  SpillRecord record{id, TypeOf(entry->type), absl::MakeConstSpan(BytesOf(entry), entry->size)};
  record.durable = true;
  record.name = request.name;
  record.retires = retires;
  // A damaged record of the same object, whose value was made anew.
  const absl::StatusOr<SpillScanEntry> before = state->FindObject(id);
  if (before.ok()) record.supersedes = before->ticket;

  const bool claimed = ClaimForPersist(entry);
  std::vector<SpillResult> results;
  const absl::Time deadline = DeadlineOf(request.wait);
  absl::Duration backoff = kBackoffMin;
  std::unique_ptr<Parker> parker;
  for (;;) {
    backend_->Write(absl::MakeConstSpan(&record, 1), &results);
    // No space may be a matter of time: what was deleted is given back in the background.
    const absl::Time now = clock_->Now();
    if (!absl::IsResourceExhausted(results[0].status) || now >= deadline || closed()) break;
    if (parker == nullptr) parker = clock_->NewParker();
    parker->Park(std::min(deadline, now + backoff));
    backoff = std::min(backoff * 2, kBackoffMax);
  }
  SettlePersist(entry, claimed, results[0]);
  if (results[0].status.ok()) FollowDurable(entry);
  internal::Unpin(entry);
  if (absl::IsResourceExhausted(results[0].status)) {
    return absl::ResourceExhaustedError(absl::StrCat("no room on the spill tier for durable ",
                                                     Describe(entry), ": ",
                                                     results[0].status.message()));
  }
  return results[0].status;
}

bool StoreCore::ClaimForPersist(Entry* entry) {
  spiller_->BeginOutside();
  {
    MutexLock lock(&StripeOf(entry).mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) == State::kHot && (word & kSpilling) == 0) {
      // Our pin is the writer's from here on.
      entry->word.fetch_or(kSpilling, std::memory_order_acq_rel);
      evictor_->Remove(entry);
      return true;
    }
  }
  spiller_->EndOutside();
  return false;
}

void StoreCore::SettlePersist(Entry* entry, bool claimed, const SpillResult& result) {
  {
    MutexLock lock(&StripeOf(entry).mutex);
    if (claimed) entry->word.fetch_and(~kSpilling, std::memory_order_relaxed);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    const bool lives = IsResident(word);
    if (lives && result.status.ok()) {
      ReleaseTicket(entry);  // of a record that is not durable
      entry->ticket = result.ticket;
      Transit(entry, State::kClean, kDurable, kOnEvictDrop);
    }
    if (claimed && lives) {
      evictor_->Remove(entry);  // who found it pinned may have queued it
      evictor_->Insert(entry);
    }
  }
  if (claimed) spiller_->EndOutside();
  CounterBlock& mine = counters_.Mine();
  if (!result.status.ok()) {
    mine.Add(Counter::kSpillFailures);
    return;
  }
  mine.Add(Counter::kSpills);
  mine.Add(Counter::kSpilledBytes, entry->size);
}

void StoreCore::FollowDurable(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  SpillTicket known;
  {
    MutexLock lock(&stripe.mutex);
    if ((entry->word.load(std::memory_order_acquire) & kDurable) == 0) return;
    known = entry->ticket;
  }
  const absl::StatusOr<SpillScanEntry> found =
      backend_->durable_state()->FindObject(entry->id.load(std::memory_order_relaxed));
  if (!found.ok()) return;
  MutexLock lock(&stripe.mutex);
  if (known != kNoTicket && entry->ticket == known) entry->ticket = found->ticket;
}

void StoreCore::Retire(DurableState* state, uint64_t id) {
  if (Entry* entry = index_->FindAndRef(id); entry != nullptr) {
    {
      MutexLock lock(&StripeOf(entry).mutex);
      entry->word.fetch_or(kRetired, std::memory_order_relaxed);
    }
    internal::Unref(entry);
    return;
  }
  // Nobody uses it, and nobody can begin to: its claim is ours, and the spill tier knows that it is
  // retired.
  const absl::StatusOr<SpillScanEntry> found = state->FindObject(id);
  if (found.ok()) backend_->Release(found->ticket);
}

absl::Status StoreCore::Unbind(absl::string_view name) {
  if (absl::Status status = CheckObjectName(name); !status.ok()) return status;
  const absl::StatusOr<DurableState*> state = DurableForChange();
  if (!state.ok()) return state.status();
  const absl::Time deadline = clock_->Now() + options_.wait_for_change_max;
  const absl::StatusOr<Claims::Claim> name_claim = claims_.OfName(name, deadline);
  if (!name_claim.ok()) return name_claim.status();
  const absl::StatusOr<uint64_t> id = (*state)->FindName(name);
  if (absl::IsNotFound(id.status())) return NoSuchName(name);
  if (!id.ok()) return id.status();
  const absl::StatusOr<Claims::Claim> claim = claims_.OfObject(*id, deadline);
  if (!claim.ok()) return claim.status();
  // Delete may have come first.
  if (absl::IsNotFound((*state)->FindName(name).status())) return NoSuchName(name);
  const absl::StatusOr<bool> is_last = IsLastName(*state, name, *id);
  if (!is_last.ok()) return is_last.status();
  DurableChange change;
  change.unbind.emplace_back(name);
  if (*is_last) change.retire.push_back(*id);
  if (absl::Status status = (*state)->Commit(change); !status.ok()) return status;
  if (*is_last) Retire(*state, *id);
  return absl::OkStatus();
}

absl::StatusOr<Entry*> StoreCore::FindByName(absl::string_view name) {
  if (absl::Status status = CheckObjectName(name); !status.ok()) return status;
  const absl::StatusOr<DurableState*> state = Durable();
  if (!state.ok()) return state.status();
  Claims::Claim claim;
  uint64_t tried_id = 0;
  for (int tries = 0;; ++tries) {
    const absl::StatusOr<uint64_t> id = (*state)->FindName(name);
    if (absl::IsNotFound(id.status())) return NoSuchName(name);
    if (!id.ok()) return id.status();
    absl::StatusOr<Entry*> entry = Find({*id});
    // Not there any more: then the name is bound to another one by now, or to none.
    // Under the claim only a delete can have come between.
    if (!absl::IsNotFound(entry.status()) || *id == tried_id || tries > kFindNameTries) {
      return entry;
    }
    if (tries < kFindNameTries) continue;
    tried_id = *id;
    absl::StatusOr<Claims::Claim> taken =
        claims_.OfName(name, clock_->Now() + options_.wait_for_change_max);
    if (!taken.ok()) return taken.status();
    claim = *std::move(taken);
  }
}

absl::StatusOr<Entry*> StoreCore::FindDurable(uint64_t id) {
  const absl::StatusOr<DurableState*> state = Durable();
  if (!state.ok()) return NotThere(id);
  const absl::StatusOr<Claims::Claim> claim =
      claims_.OfObject(id, clock_->Now() + options_.wait_for_change_max);
  if (!claim.ok()) return claim.status();
  // Another caller may have brought it in meanwhile.
  if (Entry* entry = index_->FindAndRef(id); entry != nullptr) {
    if (StateOf(entry->word.load(std::memory_order_acquire)) != State::kBuilding) return entry;
    internal::Unref(entry);
    return NotThere(id);
  }
  const absl::StatusOr<SpillScanEntry> found = (*state)->FindObject(id);
  if (absl::IsNotFound(found.status())) return NotThere(id);
  if (!found.ok()) return found.status();
  if (found->retired) return NotThere(id);
  // An entry of the same object whose last ref has just gone leaves the index under this lock.
  if (const Entry* going = index_->FindAny(id); going != nullptr) {
    MutexLock lock(&StripeOf(going).mutex);
  }
  absl::StatusOr<Entry*> acquired =
      AcquireEntry(id, State::kBuilding, TypeNumber(found->type, ""), PutOptions());
  if (!acquired.ok()) return acquired.status();
  Entry* entry = *acquired;
  // Bytes of another run are verified like any from outside.
  const uint64_t unverified = found->type.encoding == Encoding::kRaw ? 0 : kUnverified;
  {
    MutexLock lock(&StripeOf(entry).mutex);
    entry->size.store(found->payload_bytes, std::memory_order_relaxed);
    entry->ticket = found->ticket;
    Transit(entry, State::kCold, kDurable | unverified, 0, kPinOne);
  }
  FollowDurable(entry);
  return entry;
}

absl::Status StoreCore::DeleteDurable(Entry* entry) {
  const absl::StatusOr<DurableState*> state = Durable();
  if (!state.ok()) return state.status();
  const uint64_t id = entry->id.load(std::memory_order_relaxed);
  const absl::StatusOr<Claims::Claim> claim =
      claims_.OfObject(id, clock_->Now() + options_.wait_for_change_max);
  if (!claim.ok()) return claim.status();
  DurableChange change;
  {
    MutexLock lock(&StripeOf(entry).mutex);
    if ((entry->word.load(std::memory_order_acquire) & kDurable) != 0) {
      change.end.push_back(id);
      change.release.push_back(entry->ticket);
    }
  }
  if (change.end.empty()) {
    // A damaged record, whose value is being made anew.
    if (const auto found = (*state)->FindObject(id); found.ok()) {
      change.end.push_back(id);
      change.release.push_back(found->ticket);
    }
  }
  // In memory first, so that who finds no record finds no object. Should the spill tier fail to
  // end it, it can be found and deleted again.
  if (absl::Status status = DeleteEntry(entry, 0); !status.ok()) return status;
  return change.end.empty() ? absl::OkStatus() : (*state)->Commit(change);
}

absl::StatusOr<std::vector<std::string>> StoreCore::NamesOf(uint64_t id) const {
  const absl::StatusOr<DurableState*> state = Durable();
  if (!state.ok()) return state.status();
  return (*state)->NamesOf(id);
}

absl::Status StoreCore::ListNames(
    absl::string_view prefix, absl::string_view after,
    absl::FunctionRef<bool(absl::string_view, uint64_t)> found) const {
  const absl::StatusOr<DurableState*> state = Durable();
  if (!state.ok()) return state.status();
  return (*state)->ListNames(prefix, after,
                             [&](absl::string_view name, uint64_t id) { return found(name, id); });
}

bool StoreCore::IsDurableAt(uint64_t id, SpillTicket ticket) const {
  // Also while the store closes: what is moved then must not go with the original. What cannot be
  // told is kept.
  DurableState* const state = backend_->durable_state();
  if (state == nullptr || options_.recovery != SpillRecovery::kKeep) return false;
  const absl::StatusOr<SpillScanEntry> found = state->FindObject(id);
  return found.ok() ? found->ticket == ticket : !absl::IsNotFound(found.status());
}

}  // namespace spillway::internal
