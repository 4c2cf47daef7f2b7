// Merges sorted runs of lines with a tree of losers (Knuth, The Art of Computer Programming 3,
// 5.4.1) over offset-value codes: a line costs log2(runs) comparisons of numbers.
//
//     std::vector<MergeInput*> runs = ...;
//     absl::Status status = MergeLines(absl::MakeSpan(runs), &output);
//
// Thread-safety: none; a merge runs on one thread.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_MERGE_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_MERGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "tools/spillway/sort/offset_value_code.h"

namespace spillway::sort {

// A piece of a run: complete lines, each with its newline.
struct RunPiece {
  absl::string_view text;  // empty at the end of the run
  // The first line's code relative to the last line of the piece before, or FirstCode() if there is
  // none.
  OffsetValueCode first_code = 0;
};

// A sorted run that is read piece by piece.
class MergeInput {
 public:
  virtual ~MergeInput() = default;

  // The next piece, readable until the next call; an empty one at the end of the run.
  virtual absl::StatusOr<RunPiece> Next() = 0;
};

// Merges the runs into `output`, whose
//     absl::Status Append(absl::string_view line, OffsetValueCode code)
// gets each line with its newline, in order, and its code relative to the line before. The first
// error met ends the merge and is returned.
template <typename Output>
absl::Status MergeLines(absl::Span<MergeInput* const> inputs, Output* output);

// ---- Implementation ----

namespace internal {

// The place in a run.
class MergeCursor {
 public:
  explicit MergeCursor(MergeInput* input) : input_(input) {}

  absl::string_view line() const { return {line_, static_cast<size_t>(newline_ - line_)}; }
  absl::string_view line_and_newline() const {
    return {line_, static_cast<size_t>(newline_ - line_) + 1};
  }

  // Goes to the next line. Returns its code relative to the line it leaves; kAfterAllLines at the
  // end.
  absl::StatusOr<OffsetValueCode> NextPiece() {
    absl::StatusOr<RunPiece> piece = input_->Next();
    if (!piece.ok()) return piece.status();
    if (piece->text.empty()) return kAfterAllLines;
    end_ = piece->text.data() + piece->text.size();
    SetLine(piece->text.data());
    return piece->first_code;
  }

  // Whether the piece has another line; then NextInPiece goes there.
  bool HasNextInPiece() const { return newline_ + 1 < end_; }
  OffsetValueCode NextInPiece() {
    const absl::string_view base = line();
    SetLine(newline_ + 1);
    return CodeAgainst(base, line());
  }

 private:
  void SetLine(const char* line) {
    line_ = line;
    newline_ = static_cast<const char*>(std::memchr(line, '\n', static_cast<size_t>(end_ - line)));
    CHECK(newline_ != nullptr) << "a piece of a run ends within a line";
  }

  MergeInput* input_;
  const char* line_ = nullptr;
  const char* newline_ = nullptr;
  const char* end_ = nullptr;
};

class LoserTree {
 public:
  struct Node {
    OffsetValueCode code = kAfterAllLines;
    size_t run = 0;
  };

  explicit LoserTree(std::vector<MergeCursor>* cursors)
      : cursors_(*cursors), nodes_(cursors->size()) {}

  // Plays all runs against each other, given their first codes. REQUIRES: there is at least one.
  void Start(absl::Span<const OffsetValueCode> codes) { winner_ = Play(1, codes); }

  const Node& winner() const { return winner_; }

  // Replaces the winner, whose run has gone on to a line with `code`, and finds the next winner.
  void Replay(OffsetValueCode code) {
    Node winner = {code, winner_.run};
    for (size_t at = (nodes_.size() + winner.run) / 2; at > 0; at /= 2) {
      Node& other = nodes_[at];
      if (__builtin_expect(other.code == winner.code, 0)) {
        Tie(&winner, &other);
        continue;
      }
      // Which of the two wins is a toss-up: selected without a branch.
      const bool other_wins = other.code < winner.code;
      const Node loser = {other_wins ? winner.code : other.code,
                          other_wins ? winner.run : other.run};
      winner = {other_wins ? other.code : winner.code, other_wins ? other.run : winner.run};
      other = loser;
    }
    winner_ = winner;
  }

 private:
  // The winner among the leaves below `at`; losers stay in the nodes. Leaves are numbered after the
  // nodes.
  Node Play(size_t at, absl::Span<const OffsetValueCode> codes) {
    if (at >= nodes_.size()) return {codes[at - nodes_.size()], at - nodes_.size()};
    Node winner = Play(2 * at, codes);
    Node other = Play(2 * at + 1, codes);
    if (winner.code == other.code) {
      Tie(&winner, &other);
    } else if (other.code < winner.code) {
      std::swap(winner, other);
    }
    nodes_[at] = other;
    return winner;
  }

  void Tie(Node* winner, Node* other) {
    const OffsetValueCode code = winner->code;
    if (code == kAfterAllLines) return;
    OffsetValueCode loser_code;
    if (!BreakTie(cursors_[winner->run].line(), cursors_[other->run].line(), code, &loser_code)) {
      std::swap(winner->run, other->run);
    }
    other->code = loser_code;
  }

  const std::vector<MergeCursor>& cursors_;
  std::vector<Node> nodes_;  // the losers, by node; 0 is not used
  Node winner_;
};

}  // namespace internal

template <typename Output>
absl::Status MergeLines(absl::Span<MergeInput* const> inputs, Output* output) {
  if (inputs.empty()) return absl::OkStatus();
  std::vector<internal::MergeCursor> cursors;
  std::vector<OffsetValueCode> codes;
  cursors.reserve(inputs.size());
  for (MergeInput* input : inputs) {
    absl::StatusOr<OffsetValueCode> code = cursors.emplace_back(input).NextPiece();
    if (!code.ok()) return code.status();
    codes.push_back(*code);
  }
  internal::LoserTree tree(&cursors);
  tree.Start(codes);
  while (tree.winner().code != kAfterAllLines) {
    internal::MergeCursor& cursor = cursors[tree.winner().run];
    absl::Status status = output->Append(cursor.line_and_newline(), tree.winner().code);
    if (!status.ok()) return status;
    if (__builtin_expect(cursor.HasNextInPiece(), 1)) {
      tree.Replay(cursor.NextInPiece());
      continue;
    }
    absl::StatusOr<OffsetValueCode> code = cursor.NextPiece();
    if (!code.ok()) return code.status();
    tree.Replay(*code);
  }
  return absl::OkStatus();
}

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_LINE_MERGE_H_
