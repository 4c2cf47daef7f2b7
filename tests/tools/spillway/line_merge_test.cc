#include "tools/spillway/sort/line_merge.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/tools/spillway/random_lines.h"
#include "tools/spillway/sort/offset_value_code.h"

namespace spillway::sort {
namespace {

// A run in memory, in pieces of a few lines. Each piece is a copy of its own that the next call
// frees, so that the address sanitizer sees a merge that looks back.
class RunInMemory : public MergeInput {
 public:
  RunInMemory(std::vector<std::string> lines, size_t lines_per_piece)
      : lines_(std::move(lines)), lines_per_piece_(lines_per_piece) {}

  absl::StatusOr<RunPiece> Next() override {
    if (fail_at_end_ && at_ == lines_.size()) return absl::DataLossError("the run is damaged");
    piece_ = std::make_unique<std::string>();
    RunPiece piece;
    for (size_t i = 0; i < lines_per_piece_ && at_ < lines_.size(); ++i, ++at_) {
      if (i == 0)
        piece.first_code =
            at_ == 0 ? FirstCode(lines_[0]) : CodeAgainst(lines_[at_ - 1], lines_[at_]);
      piece_->append(lines_[at_]).push_back('\n');
    }
    piece_->shrink_to_fit();
    piece.text = *piece_;
    return piece;
  }

  void FailAtEnd() { fail_at_end_ = true; }

 private:
  const std::vector<std::string> lines_;
  const size_t lines_per_piece_;
  size_t at_ = 0;
  bool fail_at_end_ = false;
  std::unique_ptr<std::string> piece_;
};

// Collects the output and checks the codes.
class Collector {
 public:
  absl::Status Append(absl::string_view line, OffsetValueCode code) {
    const absl::string_view bare = line.substr(0, line.size() - 1);
    EXPECT_EQ(code, lines_.empty() ? FirstCode(bare) : CodeAgainst(lines_.back(), bare));
    lines_.emplace_back(bare);
    return absl::OkStatus();
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

std::vector<MergeInput*> Pointers(const std::vector<std::unique_ptr<RunInMemory>>& runs) {
  std::vector<MergeInput*> pointers;
  for (const auto& run : runs) pointers.push_back(run.get());
  return pointers;
}

TEST(OffsetValueCodeTest, OrdersLinesRelativeToTheSameBase) {
  for (LineShape shape : kAllLineShapes) {
    const std::vector<std::string> lines = SortedLines(RandomLines(shape, 60, 11));
    for (size_t base = 0; base < lines.size(); ++base) {
      for (size_t a = base; a < lines.size(); ++a) {
        for (size_t b = a; b < lines.size(); ++b) {
          const OffsetValueCode code_a = CodeAgainst(lines[base], lines[a]);
          const OffsetValueCode code_b = CodeAgainst(lines[base], lines[b]);
          ASSERT_LE(code_a, code_b);
          if (code_a < code_b) {
            ASSERT_EQ(CodeAgainst(lines[a], lines[b]), code_b);
          } else {
            OffsetValueCode loser;
            ASSERT_EQ(BreakTie(lines[b], lines[a], code_a, &loser), lines[a] == lines[b]);
            ASSERT_EQ(loser, CodeAgainst(lines[a], lines[b]));
          }
        }
      }
    }
  }
}

TEST(LineMergeTest, MergesNothing) {
  Collector output;
  EXPECT_TRUE(MergeLines(absl::Span<MergeInput* const>(), &output).ok());
  EXPECT_TRUE(output.lines().empty());
}

TEST(LineMergeTest, MergesAnyNumberOfRunsOfEveryShape) {
  std::mt19937_64 random(1);
  for (LineShape shape : kAllLineShapes) {
    for (size_t count : {1, 2, 3, 5, 8, 13, 40}) {
      std::vector<std::string> all;
      std::vector<std::unique_ptr<RunInMemory>> runs;
      for (size_t i = 0; i < count; ++i) {
        std::vector<std::string> lines = SortedLines(RandomLines(shape, random() % 60, random()));
        all.insert(all.end(), lines.begin(), lines.end());
        runs.push_back(std::make_unique<RunInMemory>(std::move(lines), 1 + random() % 20));
      }
      Collector output;
      ASSERT_TRUE(MergeLines(absl::MakeConstSpan(Pointers(runs)), &output).ok());
      ASSERT_EQ(output.lines(), SortedLines(all)) << static_cast<int>(shape) << " " << count;
    }
  }
}

TEST(LineMergeTest, ARunThatFailsEndsTheMerge) {
  std::vector<std::unique_ptr<RunInMemory>> runs;
  for (int i = 0; i < 3; ++i) {
    runs.push_back(std::make_unique<RunInMemory>(std::vector<std::string>{"a", "b"}, 1));
  }
  runs[1]->FailAtEnd();
  Collector output;
  EXPECT_EQ(MergeLines(absl::MakeConstSpan(Pointers(runs)), &output).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace spillway::sort
