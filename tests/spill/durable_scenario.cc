#include "tests/spill/durable_scenario.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "spill/durable_state.h"
#include "tests/spill/spill_test_util.h"

namespace spillway::testing {
namespace {

constexpr uint64_t kNothing = 0;

struct Put {
  uint64_t id = 0;
  size_t bytes = 0;
  bool durable = true;
  std::string name = {};
  uint64_t supersedes = kNothing;
};

// One call of the backend.
struct Step {
  std::vector<Put> puts = {};
  // One Commit.
  std::map<std::string, uint64_t> bind = {};
  std::vector<std::string> unbind = {};
  std::vector<uint64_t> ended = {};
  // Calls of Release, and the reclaim that follows.
  std::vector<uint64_t> released = {};
};

// Objects in files of their own, and in the index.
constexpr size_t kLarge = 50000;
constexpr size_t kSmall = 900;

std::vector<Put> Puts(uint64_t first_id, size_t count, size_t bytes, bool durable) {
  std::vector<Put> puts;
  for (size_t i = 0; i < count; ++i) puts.push_back({first_id + i, bytes, durable, {}, kNothing});
  return puts;
}

std::vector<uint64_t> Ids(uint64_t first, size_t count) {
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

std::vector<Step>* MakeSteps() {
  auto* const steps = new std::vector<Step>;
  const auto put = [&](std::vector<Put> puts) {
    steps->emplace_back();
    steps->back().puts = std::move(puts);
  };
  // What comes first is there to be found unchanged at the end.
  put({{1, kLarge, true, "large", kNothing}, {2, kLarge}, {3, 0}, {4, kSmall}});
  put({{5, kSmall, true, "small", kNothing}});
  // Two and a half batches each.
  put(Puts(100, 12, kLarge, /*durable=*/false));
  put(Puts(200, 12, kLarge, /*durable=*/true));
  // Names change their meaning.
  put({{6, kSmall, true, "small", 5}});
  put({{7, kLarge, true, "large", 1}});
  put({{8, kLarge, true, "small", 6}});
  put({{9, kSmall, true, "large", 7}});
  steps->emplace_back();
  steps->back().bind = {{"other", 2}};
  steps->back().unbind = {"small"};
  steps->back().ended = {8};
  // Deletes, which leave one record or none of each batch.
  steps->emplace_back();
  steps->back().released = {101, 102, 103, 104, 106, 107, 108, 109, 110, 111};
  steps->emplace_back();
  steps->back().ended = Ids(201, 4);
  steps->emplace_back();
  steps->back().released = {206, 207, 208, 209, 210, 211};
  put(Puts(300, 5, kLarge, /*durable=*/false));
  put({{10, kLarge}, {11, kSmall}});
  // The one afterwards.
  put({{20, kLarge}, {21, kSmall}});
  return steps;
}

const std::vector<Step>& Steps() {
  static const std::vector<Step>* const steps = MakeSteps();
  return *steps;
}

}  // namespace

size_t Scenario::steps() { return Steps().size() - 1; }

void Scenario::Run(SpillBackend* backend, size_t number) {
  const Step& step = Steps()[number];
  // Held from the choice of a ticket to the end of the change, so that no record moves meanwhile.
  MutexLock lock(&mutex_);
  if (!step.puts.empty()) {
    std::vector<std::string> payloads;
    std::vector<SpillRecord> records;
    for (const Put& put : step.puts) payloads.push_back(RandomPayload(put.id, put.bytes));
    for (size_t i = 0; i < step.puts.size(); ++i) {
      const Put& put = step.puts[i];
      SpillRecord record;
      record.object_id = put.id;
      record.type = TypeOf(put.id);
      record.payload = payloads[i];
      record.durable = put.durable;
      record.name = put.name;
      record.supersedes = TicketOf(put.supersedes);
      records.push_back(record);
    }
    std::vector<SpillResult> results;
    backend->Write(records, &results);
    for (size_t i = 0; i < results.size(); ++i) {
      NotePut(number, i, results[i].status.ok() ? Outcome::kDone : Outcome::kFailed);
      if (results[i].status.ok()) tickets_[step.puts[i].id] = results[i].ticket;
    }
  }
  if (!step.bind.empty() || !step.unbind.empty() || !step.ended.empty()) {
    DurableChange change;
    for (const auto& [name, id] : step.bind) change.bind.push_back({name, id});
    for (const std::string& name : step.unbind) change.unbind.push_back(name);
    for (uint64_t id : step.ended) change.release.push_back(TicketOf(id));
    const absl::Status status = backend->durable_state()->Commit(change);
    NoteCommit(number, status.ok() ? Outcome::kDone : Outcome::kFailed);
  }
  for (uint64_t id : step.released) backend->Release(TicketOf(id));
  NoteReleases(number);
}

void Scenario::Note(size_t step, Outcome outcome) {
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < Steps()[step].puts.size(); ++i) NotePut(step, i, outcome);
  NoteCommit(step, outcome);
  NoteReleases(step);
}

void Scenario::NotePut(size_t step, size_t number, Outcome outcome) {
  const Put& put = Steps()[step].puts[number];
  const bool surely = outcome == Outcome::kDone;
  for (State* state : {&loose_, &strict_}) {
    Object& object = state->objects[put.id];
    object.durable = put.durable;
    object.bytes = put.bytes;
    if (outcome == Outcome::kFailed && state == &strict_) continue;
    object.known = surely ? Known::kThere : Known::kMaybe;
    if (!put.name.empty()) Bind(state, put.name, put.id, surely);
    // What was to be replaced and was never written has no ticket that could have been named.
    if (put.supersedes == kNothing) continue;
    if (outcome == Outcome::kUnknown || TicketOf(put.supersedes) != kNoTicket ||
        (surely && tickets_.empty())) {
      End(state, put.supersedes, surely);
    }
  }
}

void Scenario::NoteCommit(size_t step, Outcome outcome) {
  const bool surely = outcome == Outcome::kDone;
  for (State* state : {&loose_, &strict_}) {
    // Records that a change was to end may be gone even though it failed, names are as before.
    for (uint64_t id : Steps()[step].ended) End(state, id, surely);
    if (outcome == Outcome::kFailed && state == &strict_) continue;
    for (const auto& [name, id] : Steps()[step].bind) Bind(state, name, id, surely);
    for (const std::string& name : Steps()[step].unbind) Bind(state, name, kNothing, surely);
  }
}

// They are committed some time later.
void Scenario::NoteReleases(size_t step) {
  for (uint64_t id : Steps()[step].released) {
    End(&loose_, id, /*surely=*/false);
    End(&strict_, id, /*surely=*/false);
    released_.insert(id);
  }
}

void Scenario::Bind(State* state, const std::string& name, uint64_t id, bool surely) {
  std::set<uint64_t>& meanings = state->names[name];
  if (meanings.empty()) meanings.insert(kNothing);
  if (surely) meanings.clear();
  meanings.insert(id);
}

void Scenario::End(State* state, uint64_t id, bool surely) {
  Object& object = state->objects[id];
  if (object.known != Known::kGone) object.known = surely ? Known::kGone : Known::kMaybe;
}

SpillTicket Scenario::TicketOf(uint64_t id) const {
  const auto found = tickets_.find(id);
  return found == tickets_.end() ? kNoTicket : found->second;
}

bool Scenario::OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) {
  MutexLock lock(&mutex_);
  if (TicketOf(object_id) != from) return false;
  if (strict_.objects[object_id].known != Known::kThere) return false;
  tickets_[object_id] = to;
  return true;
}

void Scenario::ExpectReadable(SpillBackend* backend) {
  MutexLock lock(&mutex_);
  for (const auto& [id, object] : strict_.objects) {
    if (object.known != Known::kThere) continue;
    EXPECT_EQ(ReadBack(backend, {id, RandomPayload(id, object.bytes), TicketOf(id)}),
              absl::OkStatus());
  }
}

void Scenario::ExpectAfterRecovery(SpillBackend* backend, bool worked_again) {
  std::map<uint64_t, SpillScanEntry> there;
  EXPECT_EQ(backend->Scan([&](const SpillScanEntry& entry) {
    EXPECT_TRUE(there.emplace(entry.object_id, entry).second)
        << "object " << entry.object_id << " is there twice";
  }),
            absl::OkStatus());
  MutexLock lock(&mutex_);
  const State& expected = worked_again ? strict_ : loose_;
  for (const auto& [id, object] : expected.objects) {
    const auto found = there.find(id);
    if (found == there.end()) {
      EXPECT_TRUE(object.known != Known::kThere || !object.durable)
          << "object " << id << " of " << object.bytes << " bytes was acknowledged and is lost";
      continue;
    }
    EXPECT_TRUE(object.durable) << "object " << id << " was not durable and is there";
    EXPECT_NE(object.known, Known::kGone) << "object " << id << " was ended, and is there";
    EXPECT_FALSE(worked_again && released_.contains(id))
        << "object " << id << " was released, and is there";
    EXPECT_EQ(found->second.payload_bytes, object.bytes);
    EXPECT_EQ(ReadBack(backend, {id, RandomPayload(id, object.bytes), found->second.ticket}),
              absl::OkStatus());
  }
  for (const auto& [id, entry] : there) {
    EXPECT_TRUE(expected.objects.contains(id)) << "nobody put object " << id;
  }
  for (const auto& [name, meanings] : expected.names) {
    const absl::StatusOr<uint64_t> id = backend->durable_state()->FindName(name);
    ASSERT_TRUE(id.ok() || absl::IsNotFound(id.status())) << id.status();
    const uint64_t meaning = id.value_or(kNothing);
    EXPECT_TRUE(meanings.contains(meaning)) << "the name " << name << " is bound to " << meaning;
  }
  EXPECT_EQ(backend->Usage().live_records, there.size());
  EXPECT_EQ(backend->Usage().damaged_records, 0u);
}

void ExpectNoSpaceLeak(const std::string& directory, SpillBackend* backend) {
  EXPECT_TRUE(FilesIn(directory + "/building", "").empty());
  // The index has files too; it is small here.
  constexpr uint64_t kIndexBytes = 200 << 10;
  uint64_t bytes = 0;
  std::string files;
  EXPECT_TRUE(Eventually([&] {
    bytes = 0;
    files.clear();
    for (const std::string& file : FilesIn(directory + "/db", ".sst")) {
      std::error_code gone;
      const uint64_t file_bytes = std::filesystem::file_size(file, gone);
      if (gone) continue;
      bytes += file_bytes;
      absl::StrAppend(&files, "\n", file, " has ", file_bytes);
    }
    return bytes <= backend->Usage().held_bytes + kIndexBytes;
  })) << bytes
      << " bytes are in files, and the backend holds " << backend->Usage().held_bytes << files;
}

}  // namespace spillway::testing
