#include "tools/spillway/sort/run_reader.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "glog/logging.h"
#include "tools/spillway/interruption.h"

namespace spillway::sort {

ChunkFetcher::ChunkFetcher(std::vector<Run> runs, size_t threads, uint64_t fetched_bytes_max)
    : fetched_bytes_max_(fetched_bytes_max), runs_(std::move(runs)) {
  for (size_t run = 0; run < runs_.size(); ++run) {
    places_.emplace_back(runs_[run].chunks.size());
    for (size_t index = 0; index < runs_[run].chunks.size(); ++index)
      order_.emplace_back(run, index);
  }
  // First all first chunks, then by the last line of the chunk before.
  const auto wanted_at = [this](const Fetch& fetch) {
    const LinePrefix before =
        fetch.index == 0 ? LinePrefix{} : chunk(fetch.run, fetch.index - 1).last_line;
    return std::make_tuple(fetch.index != 0, before, fetch.index, fetch.run);
  };
  std::sort(order_.begin(), order_.end(),
            [&](const Fetch& a, const Fetch& b) { return wanted_at(a) < wanted_at(b); });
  for (size_t place = 0; place < order_.size(); ++place)
    places_[order_[place].run][order_[place].index] = place;
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      pthread_setname_np(pthread_self(), "fetch");
      FetchAhead();
    });
  }
}

ChunkFetcher::~ChunkFetcher() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<RawView> ChunkFetcher::Get(const Fetch& fetch) const {
  return chunk(fetch.run, fetch.index).ref.any().GetRaw();
}

ChunkFetcher::Fetch* ChunkFetcher::NextToFetch() {
  while (next_ < order_.size() && order_[next_].state != State::kWaiting) ++next_;
  if (next_ == order_.size()) return nullptr;
  Fetch* const fetch = &order_[next_];
  const bool room = fetched_bytes_ == 0 || fetched_bytes_ + HeldBytes(*fetch) <= fetched_bytes_max_;
  return room ? fetch : nullptr;
}

void ChunkFetcher::FetchAhead() {
  while (true) {
    Fetch* fetch = nullptr;
    uint64_t bytes = 0;
    {
      MutexLock lock(&mutex_);
      while (!ending_ && (fetch = NextToFetch()) == nullptr) changed_.Wait(&mutex_);
      if (ending_) return;
      fetch->state = State::kFetching;
      bytes = HeldBytes(*fetch);
      fetched_bytes_ += bytes;
      ++next_;
    }
    absl::StatusOr<RawView> view = Get(*fetch);
    MutexLock lock(&mutex_);
    if (view.ok()) {
      fetch->view = *std::move(view);
      fetch->state = State::kFetched;
    } else {
      // Whoever takes the chunk will try for himself and see what is wrong.
      fetch->state = State::kWaiting;
      fetched_bytes_ -= bytes;
    }
    changed_.SignalAll();
  }
}

absl::StatusOr<RawView> ChunkFetcher::Take(size_t run, size_t index) {
  Fetch* fetch = nullptr;
  {
    MutexLock lock(&mutex_);
    fetch = &order_[places_[run][index]];
    CHECK(fetch->state != State::kTaken)
        << "chunk " << index << " of run " << run << " was taken before";
    while (fetch->state == State::kFetching) changed_.Wait(&mutex_);
    const bool fetched = fetch->state == State::kFetched;
    fetch->state = State::kTaken;
    if (fetched) {
      fetched_bytes_ -= HeldBytes(*fetch);
      changed_.SignalAll();
      DropRef(*fetch);
      return std::move(fetch->view);
    }
  }
  absl::StatusOr<RawView> view = Get(*fetch);
  DropRef(*fetch);
  return view;
}

absl::StatusOr<RunPiece> RunReader::Next() {
  absl::Status status = Interruption::Check();
  if (!status.ok()) return status;
  // Before the next one comes: there may be room for one only.
  view_ = RawView();
  if (next_ == fetcher_.chunks(run_)) return RunPiece{};
  const Chunk& chunk = fetcher_.chunk(run_, next_);
  const uint64_t bytes = chunk.bytes;
  const OffsetValueCode first_code = chunk.first_code;
  absl::StatusOr<RawView> view = fetcher_.Take(run_, next_);
  if (!view.ok()) return view.status();
  ++next_;
  view_ = *std::move(view);
  read_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return RunPiece{absl::string_view(view_.data(), bytes), first_code};
}

}  // namespace spillway::sort
