#include "tools/spillway/sort/run_reader.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "store/object_store.h"
#include "tests/tools/spillway/random_lines.h"
#include "tools/spillway/sort/run.h"
#include "tools/spillway/sort/run_writer.h"

namespace spillway::sort {
namespace {

class RunReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.memory_limit_bytes = 64 * kMiB;
    store_ = ObjectStore::Open(options, nullptr).value();
    context_.store = store_.get();
    context_.chunk_bytes = 4096;
  }

  sort::Run MakeRun(const std::vector<std::string>& sorted_lines) {
    RunWriter writer(&context_);
    for (size_t i = 0; i < sorted_lines.size(); ++i) {
      const OffsetValueCode code =
          i == 0 ? FirstCode(sorted_lines[0]) : CodeAgainst(sorted_lines[i - 1], sorted_lines[i]);
      EXPECT_TRUE(writer.Append(sorted_lines[i] + "\n", code).ok());
    }
    return writer.Finish().value();
  }

  std::unique_ptr<ObjectStore> store_;
  RunWriterContext context_;
};

TEST_F(RunReaderTest, ARunComesBackAsItWasWritten) {
  for (LineShape shape : kAllLineShapes) {
    const std::vector<std::string> lines = SortedLines(RandomLines(shape, 500, 9));
    std::vector<sort::Run> runs;
    runs.push_back(MakeRun(lines));
    EXPECT_EQ(runs[0].bytes(), JoinLines(lines).size());
    ChunkFetcher fetcher(std::move(runs), 2, 16 * 1024);
    std::atomic<uint64_t> read_bytes{0};
    RunReader reader(&fetcher, 0, &read_bytes);
    std::string text;
    while (true) {
      const RunPiece piece = reader.Next().value();
      if (piece.text.empty()) break;
      text.append(piece.text.data(), piece.text.size());
    }
    EXPECT_TRUE(text == JoinLines(lines));
    EXPECT_EQ(read_bytes, text.size());
  }
}

TEST_F(RunReaderTest, ChunksGoAsSoonAsTheyAreUsedUp) {
  std::vector<sort::Run> runs;
  runs.push_back(MakeRun(SortedLines(RandomLines(LineShape::kText, 5000, 1))));
  const uint64_t chunks = runs[0].chunks.size();
  ASSERT_EQ(store_->Stats().objects, chunks);
  {
    ChunkFetcher fetcher(std::move(runs), 1, 4096);
    std::atomic<uint64_t> read_bytes{0};
    RunReader reader(&fetcher, 0, &read_bytes);
    for (uint64_t i = 0; i < chunks; ++i) {
      ASSERT_TRUE(reader.Next().ok());
      EXPECT_LE(store_->Stats().objects, chunks - i);
    }
    EXPECT_TRUE(reader.Next()->text.empty());
  }
  EXPECT_EQ(store_->Stats().objects, 0u);
}

TEST_F(RunReaderTest, ChunksMayBeTakenInAnotherOrderThanForeseen) {
  std::vector<sort::Run> runs;
  for (uint64_t seed : {1, 2, 3}) {
    // Beyond their prefixes all lines are alike: nothing can be foreseen.
    runs.push_back(MakeRun(SortedLines(RandomLines(LineShape::kCommonPrefix, 2000, seed))));
  }
  ChunkFetcher fetcher(std::move(runs), 3, 8192);
  for (size_t run = fetcher.runs(); run-- > 0;) {
    for (size_t index = 0; index < fetcher.chunks(run); ++index) {
      EXPECT_TRUE(fetcher.Take(run, index).ok());
    }
  }
}

TEST_F(RunReaderTest, AFetcherMayEndWithChunksLeft) {
  std::vector<sort::Run> runs;
  runs.push_back(MakeRun(SortedLines(RandomLines(LineShape::kText, 3000, 1))));
  { ChunkFetcher fetcher(std::move(runs), 4, 1 << 20); }
  EXPECT_EQ(store_->Stats().objects, 0u);
}

TEST_F(RunReaderTest, AChunkThatIsGoneIsAnError) {
  std::vector<sort::Run> runs;
  runs.push_back(MakeRun(SortedLines(RandomLines(LineShape::kText, 3000, 1))));
  ASSERT_TRUE(store_->Delete(runs[0].chunks[1].ref.id()).ok());
  ChunkFetcher fetcher(std::move(runs), 1, 4096);
  std::atomic<uint64_t> read_bytes{0};
  RunReader reader(&fetcher, 0, &read_bytes);
  EXPECT_TRUE(reader.Next().ok());
  EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace spillway::sort
