#include "store/internal/async_gets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "store/internal/store_core.h"

namespace spillway::internal {

namespace {

// What is served together: requests, and bytes as a fraction of the memory limit. All of them are
// pinned until the last was called back.
constexpr size_t kTogetherMax = 64;
constexpr uint64_t kTogetherFraction = 16;

// Whether two gets may be served by one call.
bool SameWay(const GetOptions& a, const GetOptions& b) {
  return a.wait_for_room_max == b.wait_for_room_max && a.promote && b.promote;
}

// Whether a get that waited for no value found one that is to come, because the old one was lost,
// or that has come meanwhile.
bool IsForLater(const Entry* entry, const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return false;
  const uint64_t word = entry->word.load(std::memory_order_acquire);
  return StateOf(word) == State::kPending || IsResident(word);
}

}  // namespace

void AsyncGets::Get(Entry* entry, const GetOptions& options, Callback callback) {
  absl::Status refused;
  {
    MutexLock lock(&mutex_);
    const size_t waiting = queue_.size() + waiting_.size();
    if (stopped_) {
      refused = absl::UnavailableError("the store is closed");
    } else if (waiting >= requests_max_) {
      refused = absl::ResourceExhaustedError(
          absl::StrFormat("%d asynchronous gets wait already (async_gets_max)", waiting));
    } else {
      internal::Ref(entry);
      StartJobs();
      if (StateOf(entry->word.load(std::memory_order_acquire)) != State::kPending) {
        queue_.push_back({entry, options, std::move(callback)});
        WakeJobs();
        return;
      }
    }
  }
  if (!refused.ok()) return callback(refused, nullptr);
  AwaitValue({entry, options, std::move(callback)});
}

void AsyncGets::AwaitValue(Request request) {
  Entry* entry = request.entry;
  const absl::Time deadline = core_->clock()->Now() + request.options.wait_for_value_max;
  uint64_t number = 0;
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      StartJobs();
      number = next_number_++;
      waiting_[number] = {std::move(request), deadline, 0};
      // A job looks after the deadline.
      if (deadline < absl::InfiniteFuture()) WakeJobs();
    }
  }
  if (number == 0) {
    request.callback(absl::UnavailableError("the store is closed"), nullptr);
    internal::Unref(entry);
    return;
  }
  const uint64_t on_ready = core_->OnReady(entry, [this, number] { OnReady(number); });
  {
    MutexLock lock(&mutex_);
    const auto waiting = waiting_.find(number);
    if (waiting != waiting_.end()) waiting->second.on_ready = on_ready;
  }
}

void AsyncGets::OnReady(uint64_t number) {
  MutexLock lock(&mutex_);
  const auto waiting = waiting_.find(number);
  if (waiting == waiting_.end()) return;  // its time was up
  queue_.push_back(std::move(waiting->second.request));
  waiting_.erase(waiting);
  WakeJobs();
}

size_t AsyncGets::Prefetch(absl::Span<Entry* const> entries, uint64_t bytes_max) {
  MutexLock lock(&mutex_);
  if (stopped_) return 0;
  size_t taken = 0;
  for (Entry* entry : entries) {
    if (entry == nullptr) continue;
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) != State::kCold || (word & kRestoring) != 0) continue;
    if (prefetch_bytes_ + entry->size > bytes_max || prefetches_.size() >= requests_max_) break;
    prefetch_bytes_ += entry->size;
    internal::Ref(entry);
    prefetches_.push_back(entry);
    ++taken;
  }
  if (taken == 0) return 0;
  StartJobs();
  WakeJobs();
  return taken;
}

void AsyncGets::StartJobs() {
  if (jobs_[0] != nullptr) return;
  for (int i = 0; i < kJobs; ++i) {
    jobs_[static_cast<size_t>(i)] =
        executor_->Start(absl::StrCat("async-get-", i), [this] { return Step(); });
  }
}

void AsyncGets::WakeJobs() {
  for (auto& job : jobs_) {
    if (job != nullptr) job->Wake();
  }
}

void AsyncGets::Stop() {
  std::array<std::unique_ptr<BackgroundJob>, kJobs> jobs;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    jobs = std::move(jobs_);
  }
  // Without the lock, which the steps take.
  for (auto& job : jobs) {
    if (job != nullptr) job->Stop();
  }
}

void AsyncGets::Resume() {
  MutexLock lock(&mutex_);
  stopped_ = false;
  if (queue_.empty() && waiting_.empty() && prefetches_.empty()) return;
  StartJobs();
  WakeJobs();
}

void AsyncGets::Cancel(const absl::Status& status) {
  std::deque<Request> cancelled;
  std::deque<Entry*> prefetches;
  {
    MutexLock lock(&mutex_);
    cancelled = std::move(queue_);
    queue_.clear();
    for (auto& [number, waiting] : waiting_) cancelled.push_back(std::move(waiting.request));
    waiting_.clear();
    prefetches = std::move(prefetches_);
    prefetches_.clear();
  }
  for (Request& request : cancelled) {
    request.callback(status, nullptr);
    internal::Unref(request.entry);
  }
  for (Entry* entry : prefetches) internal::Unref(entry);
}

absl::Time AsyncGets::Step() {
  for (Waiting& late : TakeLate()) {
    Entry* entry = late.request.entry;
    core_->RemoveCallback(entry, late.on_ready);
    late.request.callback(
        absl::DeadlineExceededError(absl::StrCat(core_->Describe(entry), " is still pending")),
        nullptr);
    internal::Unref(entry);
  }
  if (std::vector<Request> batch = TakeBatch(); !batch.empty()) {
    Serve(std::move(batch));
  } else if (std::vector<Entry*> entries = TakePrefetches(); !entries.empty()) {
    ServePrefetches(std::move(entries));
  }
  MutexLock lock(&mutex_);
  if (stopped_) return absl::InfiniteFuture();
  if (!queue_.empty() || !prefetches_.empty()) return absl::InfinitePast();
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [number, waiting] : waiting_) next = std::min(next, waiting.deadline);
  return next;
}

std::vector<AsyncGets::Waiting> AsyncGets::TakeLate() {
  const absl::Time now = core_->clock()->Now();
  std::vector<Waiting> late;
  MutexLock lock(&mutex_);
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    if (waiting->second.deadline > now) {
      ++waiting;
      continue;
    }
    late.push_back(std::move(waiting->second));
    waiting = waiting_.erase(waiting);
  }
  return late;
}

std::vector<AsyncGets::Request> AsyncGets::TakeBatch() {
  std::vector<Request> batch;
  const uint64_t bytes_max = core_->memory_limit_bytes() / kTogetherFraction;
  uint64_t bytes = 0;
  MutexLock lock(&mutex_);
  while (!queue_.empty() && !stopped_ && batch.size() < kTogetherMax) {
    Request& next = queue_.front();
    bytes += next.entry->size;
    if (!batch.empty() && (bytes > bytes_max || !SameWay(batch[0].options, next.options))) break;
    batch.push_back(std::move(next));
    queue_.pop_front();
  }
  return batch;
}

void AsyncGets::Serve(std::vector<Request> batch) {
  if (batch.size() == 1) {
    Request& request = batch[0];
    Entry* pinned = request.entry;
    GetOptions options = request.options;
    options.wait_for_value_max = absl::ZeroDuration();
    const absl::Status status = core_->PinInPlaceOrPassing(&pinned, options);
    if (IsForLater(request.entry, status)) return AwaitValue(std::move(request));
    request.callback(status, pinned);
    internal::Unref(request.entry);
    return;
  }
  std::vector<Entry*> entries;
  for (const Request& request : batch) entries.push_back(request.entry);
  std::vector<size_t> order;
  core_->SortByPlace(&entries, &order);
  std::vector<absl::Status> statuses;
  GetOptions options = batch[0].options;
  options.wait_for_value_max = absl::ZeroDuration();
  core_->PinMany(entries, options, &statuses);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (IsForLater(entries[i], statuses[i])) {
      AwaitValue(std::move(batch[order[i]]));
      continue;
    }
    batch[order[i]].callback(statuses[i], entries[i]);
    internal::Unref(entries[i]);
  }
}

std::vector<Entry*> AsyncGets::TakePrefetches() {
  std::vector<Entry*> entries;
  const uint64_t bytes_max = core_->memory_limit_bytes() / kTogetherFraction;
  uint64_t bytes = 0;
  MutexLock lock(&mutex_);
  while (!prefetches_.empty() && !stopped_ && entries.size() < kTogetherMax) {
    bytes += prefetches_.front()->size;
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(prefetches_.front());
    prefetches_.pop_front();
  }
  return entries;
}

void AsyncGets::ServePrefetches(std::vector<Entry*> entries) {
  std::vector<size_t> order;
  core_->SortByPlace(&entries, &order);
  std::vector<absl::Status> statuses;
  core_->PinMany(entries, GetOptions(), &statuses, /*may_wait=*/false);
  uint64_t bytes = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    bytes += entries[i]->size;
    if (statuses[i].ok()) internal::Unpin(entries[i]);
    internal::Unref(entries[i]);
  }
  MutexLock lock(&mutex_);
  prefetch_bytes_ -= std::min(prefetch_bytes_, bytes);
}

}  // namespace spillway::internal
