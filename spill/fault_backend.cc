#include "spill/fault_backend.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spillway {

FaultBackend::FaultBackend(std::unique_ptr<SpillBackend> target) : target_(std::move(target)) {}

FaultBackend::~FaultBackend() { Close().IgnoreError(); }

void FaultBackend::FailNth(Operation operation, uint64_t n, absl::Status status) {
  MutexLock lock(&mutex_);
  plan(operation).fail_at[plan(operation).calls + n] = std::move(status);
}

void FaultBackend::FailAll(Operation operation, absl::Status status) {
  MutexLock lock(&mutex_);
  plan(operation).fail_all = std::move(status);
}

void FaultBackend::FailWritesOf(uint64_t object_id, absl::Status status) {
  MutexLock lock(&mutex_);
  if (status.ok()) {
    fail_writes_of_.erase(object_id);
  } else {
    fail_writes_of_[object_id] = std::move(status);
  }
}

void FaultBackend::HarmNthRead(uint64_t n, ReadFault fault) {
  MutexLock lock(&mutex_);
  harm_at_[records_read_ + n] = fault;
}

void FaultBackend::Damage(uint64_t object_id) {
  MutexLock lock(&mutex_);
  damaged_[object_id] = true;
}

void FaultBackend::SetCapacity(uint64_t bytes) {
  MutexLock lock(&mutex_);
  capacity_bytes_ = bytes;
}

void FaultBackend::Hold(Operation operation, HoldPoint point) {
  MutexLock lock(&mutex_);
  plan(operation).hold = true;
  plan(operation).hold_point = point;
  plan(operation).may_go = 0;
}

void FaultBackend::LetGo(Operation operation, uint64_t count) {
  MutexLock lock(&mutex_);
  plan(operation).may_go += count;
  changed_.SignalAll();
}

void FaultBackend::LetGo(Operation operation) {
  MutexLock lock(&mutex_);
  plan(operation).hold = false;
  changed_.SignalAll();
}

void FaultBackend::WaitUntilHeld(Operation operation, uint64_t count) {
  MutexLock lock(&mutex_);
  while (plan(operation).held < count) changed_.Wait(&mutex_);
}

uint64_t FaultBackend::held(Operation operation) const {
  MutexLock lock(&mutex_);
  return plan(operation).held;
}

uint64_t FaultBackend::operations(Operation operation) const {
  MutexLock lock(&mutex_);
  return plan(operation).calls;
}

absl::Status FaultBackend::Begin(Operation operation) {
  MutexLock lock(&mutex_);
  Plan& planned = plan(operation);
  const uint64_t number = ++planned.calls;
  StopIfHeld(operation, HoldPoint::kBegin);
  const auto at = planned.fail_at.find(number);
  if (at == planned.fail_at.end()) return planned.fail_all;
  absl::Status status = std::move(at->second);
  planned.fail_at.erase(at);
  return status;
}

void FaultBackend::Complete(Operation operation) {
  MutexLock lock(&mutex_);
  StopIfHeld(operation, HoldPoint::kCompletion);
}

void FaultBackend::StopIfHeld(Operation operation, HoldPoint point) {
  Plan& planned = plan(operation);
  if (!planned.hold || planned.hold_point != point) return;
  ++planned.held;
  changed_.SignalAll();
  while (planned.hold && planned.may_go == 0 && !ending_) changed_.Wait(&mutex_);
  if (planned.may_go > 0) --planned.may_go;
  --planned.held;
}

absl::Status FaultBackend::Admit(const SpillRecord& record) {
  MutexLock lock(&mutex_);
  const auto planned = fail_writes_of_.find(record.object_id);
  if (planned != fail_writes_of_.end()) return planned->second;
  if (admitted_bytes_ + record.payload.size() > capacity_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the disk is full: ", capacity_bytes_, " bytes are all it has"));
  }
  admitted_bytes_ += record.payload.size();
  return absl::OkStatus();
}

void FaultBackend::Write(absl::Span<const SpillRecord> records, std::vector<SpillResult>* results) {
  results->assign(records.size(), SpillResult());
  const absl::Status refusal = Begin(Operation::kWrite);
  std::vector<SpillRecord> admitted;
  std::vector<size_t> places;
  for (size_t i = 0; i < records.size(); ++i) {
    absl::Status status = refusal.ok() ? Admit(records[i]) : refusal;
    if (status.ok()) {
      admitted.push_back(records[i]);
      places.push_back(i);
    }
    (*results)[i].status = std::move(status);
  }
  std::vector<SpillResult> written;
  std::vector<SpillTicket> superseded;
  if (!admitted.empty()) target_->Write(admitted, &written);
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < written.size(); ++i) {
      const SpillRecord& record = admitted[i];
      if (written[i].status.ok()) {
        records_[written[i].ticket] =
            Record{record.object_id, record.type, record.payload.size(), record.durable};
      } else {
        admitted_bytes_ -= record.payload.size();
      }
      if (written[i].status.ok() && record.supersedes != kNoTicket)
        superseded.push_back(record.supersedes);
      (*results)[places[i]] = std::move(written[i]);
    }
    health_ = absl::OkStatus();
    for (const SpillResult& result : *results) {
      if (!absl::IsInvalidArgument(result.status)) health_.Update(result.status);
    }
  }
  for (SpillTicket ticket : superseded) Forget(ticket);
  Complete(Operation::kWrite);
}

void FaultBackend::Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) {
  const absl::Status refusal = Begin(Operation::kRead);
  if (refusal.ok()) {
    target_->Read(reads, statuses);
    for (size_t i = 0; i < reads.size(); ++i) Harm(reads[i], &(*statuses)[i]);
  } else {
    statuses->assign(reads.size(), refusal);
  }
  Complete(Operation::kRead);
}

void FaultBackend::Harm(const SpillRead& read, absl::Status* status) {
  MutexLock lock(&mutex_);
  const uint64_t number = ++records_read_;
  const std::string object = absl::StrCat("object ", read.object_id);
  if (damaged_.contains(read.object_id)) {
    *status = absl::DataLossError(absl::StrCat(object, " is damaged, as planned"));
  }
  if (lost_.contains(read.ticket)) {
    *status = absl::DataLossError(absl::StrCat(object, " was lost in a crash, as planned"));
  }
  const auto planned = harm_at_.find(number);
  if (planned == harm_at_.end()) return;
  const ReadFault fault = planned->second;
  harm_at_.erase(planned);
  const size_t half = read.out.size() / 2;
  switch (fault) {
    case ReadFault::kFlipBit:
      if (!read.out.empty()) read.out[half] = static_cast<char>(read.out[half] ^ 1);
      break;
    case ReadFault::kShort:
      std::fill(read.out.begin() + static_cast<std::ptrdiff_t>(half), read.out.end(), '\0');
      *status = absl::InternalError(absl::StrCat(object, ": short read, as planned"));
      break;
    case ReadFault::kDataLoss:
      *status = absl::DataLossError(absl::StrCat(object, " is damaged, as planned"));
      break;
  }
}

void FaultBackend::Release(SpillTicket ticket) {
  Forget(ticket);
  target_->Release(ticket);
}

void FaultBackend::Forget(SpillTicket ticket) {
  MutexLock lock(&mutex_);
  const auto record = records_.find(ticket);
  if (record != records_.end()) {
    admitted_bytes_ -= record->second.bytes;
    records_.erase(record);
  }
  lost_.erase(ticket);
}

void FaultBackend::ForgetDurable(uint64_t object_id) {
  std::vector<SpillTicket> tickets;
  {
    MutexLock lock(&mutex_);
    for (const auto& [ticket, record] : records_) {
      if (record.object_id == object_id && record.durable) tickets.push_back(ticket);
    }
  }
  for (SpillTicket ticket : tickets) Forget(ticket);
}

absl::Status FaultBackend::Commit(const DurableChange& change) {
  absl::Status status = Begin(Operation::kCommit);
  if (status.ok()) status = target_->durable_state()->Commit(change);
  if (status.ok()) {
    for (SpillTicket ticket : change.release) Forget(ticket);
    for (uint64_t id : change.end) ForgetDurable(id);
  }
  Complete(Operation::kCommit);
  return status;
}

absl::Status FaultBackend::Scan(const std::function<void(const SpillScanEntry&)>& found) {
  absl::Status status = Begin(Operation::kScan);
  if (status.ok()) status = target_->Scan(found);
  Complete(Operation::kScan);
  return status;
}

void FaultBackend::LoseUnsynced() {
  std::vector<SpillTicket> lost;
  {
    MutexLock lock(&mutex_);
    for (auto record = records_.begin(); record != records_.end();) {
      if (record->second.durable) {
        ++record;
        continue;
      }
      admitted_bytes_ -= record->second.bytes;
      lost.push_back(record->first);
      lost_.insert(*record);
      record = records_.erase(record);
    }
  }
  for (SpillTicket ticket : lost) target_->Release(ticket);
}

std::vector<SpillTicket> FaultBackend::LiveTickets() const {
  MutexLock lock(&mutex_);
  std::vector<SpillTicket> tickets;
  tickets.reserve(records_.size());
  for (const auto& [ticket, record] : records_) tickets.push_back(ticket);
  return tickets;
}

absl::StatusOr<bool> FaultBackend::Relocate(SpillTicket ticket) {
  Record record;
  RelocationListener* listener = nullptr;
  {
    MutexLock lock(&mutex_);
    const auto found = records_.find(ticket);
    if (found == records_.end()) {
      return absl::NotFoundError(absl::StrCat("no record has spill ticket ", ticket));
    }
    record = found->second;
    listener = listener_;
  }
  std::string bytes(record.bytes, '\0');
  SpillRead read;
  read.ticket = ticket;
  read.object_id = record.object_id;
  read.type = record.type;
  read.out = absl::MakeSpan(bytes);
  std::vector<absl::Status> statuses;
  target_->Read({&read, 1}, &statuses);
  if (!statuses[0].ok()) return statuses[0];
  SpillRecord copy;
  copy.object_id = record.object_id;
  copy.type = record.type;
  copy.payload = bytes;
  copy.durable = record.durable;
  std::vector<SpillResult> results;
  target_->Write({&copy, 1}, &results);
  if (!results[0].status.ok()) return results[0].status;
  {
    MutexLock lock(&mutex_);
    records_[results[0].ticket] = record;
    admitted_bytes_ += record.bytes;
  }
  const bool exchanged =
      listener != nullptr && listener->OnRelocated(record.object_id, ticket, results[0].ticket);
  Release(exchanged ? ticket : results[0].ticket);
  return exchanged;
}

bool FaultBackend::ReportDamage(SpillTicket ticket) {
  RelocationListener* listener = nullptr;
  {
    MutexLock lock(&mutex_);
    listener = listener_;
  }
  const bool given_up = listener != nullptr && listener->OnDamaged(ticket);
  if (given_up) Release(ticket);
  return given_up;
}

void FaultBackend::SetRelocationListener(RelocationListener* listener) {
  {
    MutexLock lock(&mutex_);
    listener_ = listener;
  }
  target_->SetRelocationListener(listener);
}

absl::Status FaultBackend::Health() const {
  {
    MutexLock lock(&mutex_);
    if (!health_.ok() && !ending_) return health_;
  }
  return target_->Health();
}

absl::Status FaultBackend::Close() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  return target_->Close();
}

}  // namespace spillway
