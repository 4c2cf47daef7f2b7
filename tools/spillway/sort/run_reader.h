// Reads runs for a merge, fetching their chunks before the merge asks for them.
//
// A chunk is wanted when the one before it in its run is used up, and that is when the merge has
// come to that one's last line. So the order in which all chunks of all runs will be wanted is
// known beforehand (forecasting: Knuth, The Art of Computer Programming 3, 5.4.6), here but for the
// bytes of long lines behind LinePrefix: a chunk that is wanted earlier than foreseen is then got
// when it is wanted.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_READER_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "tools/spillway/sort/line_merge.h"
#include "tools/spillway/sort/run.h"

namespace spillway::sort {

// Gets the chunks of some runs in the order in which a merge of them will want them, on threads of
// its own.
//
// Thread-safety: Take may be called by any thread.
class ChunkFetcher {
 public:
  // Holds up to `fetched_bytes_max` of chunks that nobody has taken yet, but one chunk at least.
  ChunkFetcher(std::vector<Run> runs, size_t threads, uint64_t fetched_bytes_max);
  ~ChunkFetcher();
  ChunkFetcher(const ChunkFetcher&) = delete;
  ChunkFetcher& operator=(const ChunkFetcher&) = delete;

  size_t runs() const { return runs_.size(); }
  size_t chunks(size_t run) const { return runs_[run].chunks.size(); }
  const Chunk& chunk(size_t run, size_t index) const { return runs_[run].chunks[index]; }

  // The chunk's object, which this is the last to refer to: it goes with the view. Each chunk can
  // be taken once. Errors as ObjectRef::Get.
  absl::StatusOr<RawView> Take(size_t run, size_t index) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class State : uint8_t {
    kWaiting,
    kFetching,
    kFetched,
    kTaken,
  };
  struct Fetch {
    Fetch(size_t run_of_chunk, size_t index_in_run) : run(run_of_chunk), index(index_in_run) {}

    size_t run;
    size_t index;
    State state = State::kWaiting;
    RawView view;
  };

  void FetchAhead() ABSL_LOCKS_EXCLUDED(mutex_);
  // The next chunk in the foreseen order that waits and that there is room for; null if there is
  // none now.
  Fetch* NextToFetch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t HeldBytes(const Fetch& fetch) const {
    return runs_[fetch.run].chunks[fetch.index].held_bytes();
  }
  absl::StatusOr<RawView> Get(const Fetch& fetch) const;
  void DropRef(const Fetch& fetch) { runs_[fetch.run].chunks[fetch.index].ref = {}; }

  const uint64_t fetched_bytes_max_;
  std::vector<Run> runs_;  // a chunk's ref belongs to whoever moved its state away from kWaiting

  Mutex mutex_;
  CondVar changed_;
  std::vector<Fetch> order_ ABSL_GUARDED_BY(mutex_);  // as foreseen
  std::vector<std::vector<size_t>> places_;           // in order_, by run and index; constant
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;           // nothing before it in order_ waits
  uint64_t fetched_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
};

// One run of a fetcher, for MergeLines.
class RunReader : public MergeInput {
 public:
  // Adds what it hands out to `read_bytes`.
  RunReader(ChunkFetcher* fetcher, size_t run, std::atomic<uint64_t>* read_bytes)
      : fetcher_(*fetcher), run_(run), read_bytes_(*read_bytes) {}

  absl::StatusOr<RunPiece> Next() override;

 private:
  ChunkFetcher& fetcher_;
  const size_t run_;
  std::atomic<uint64_t>& read_bytes_;
  size_t next_ = 0;
  RawView view_;
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_READER_H_
