// The spill limit, over the real spill tier: puts wait and are then refused by the limit's name,
// gets go on, and everything resumes by itself once there is room. One line in the log says so.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/object_store.h"
#include "store/open_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"
#include "tests/store/store_directory.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kObjectBytes = 1 << 20;

// Counts log lines that contain a text.
class LogCounter : public google::LogSink {
 public:
  explicit LogCounter(std::string text) : text_(std::move(text)) { google::AddLogSink(this); }
  ~LogCounter() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
            const char* message, size_t size) override {
    if (absl::StrContains(absl::string_view(message, size), text_)) ++count_;
  }
  int count() const { return count_.load(); }

 private:
  const std::string text_;
  std::atomic<int> count_{0};
};

TEST(DiskLimitTest, PutsAreRefusedByItsNameGetsGoOnAndAllResumes) {
  StoreDirectory directory;
  StoreOptions options = StoreDirectory::Options(directory.path());
  options.memory_limit_bytes = 32 * kMiB;
  options.spill_limit_bytes = 24 * kMiB;
  auto store = OpenStore(options).value();
  LogCounter fails("fails: the spill limit"), works("works again");
  PutOptions patient;
  patient.wait_for_room_max = absl::Milliseconds(300);

  std::vector<ObjectRef<std::string>> refs;
  absl::Status refused;
  absl::Time began;
  for (uint64_t i = 0; refused.ok() && i < 200; ++i) {
    began = absl::Now();
    auto ref = store->Put(BytesOfSeed(kObjectBytes, i), patient);
    refused = ref.status();
    if (ref.ok()) refs.push_back(*std::move(ref));
  }
  ASSERT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("the spill limit of 25165824 bytes is reached"));
  EXPECT_GE(absl::Now() - began, patient.wait_for_room_max);
  EXPECT_GT(refs.size(), 24u);
  EXPECT_LE(store->Stats().disk_held_bytes_peak, options.spill_limit_bytes);
  EXPECT_FALSE(store->Put(BytesOfSeed(kObjectBytes, 0), patient).ok());
  // Those that are in memory are had without room.
  int served = 0;
  for (size_t i = 0; i < refs.size(); ++i) {
    GetOptions impatient;
    impatient.wait_for_room_max = absl::ZeroDuration();
    auto view = refs[i].Get(impatient);
    if (!view.ok()) continue;
    EXPECT_EQ(**view, BytesOfSeed(kObjectBytes, i));
    ++served;
  }
  EXPECT_GT(served, 10);
  // One line when it begins and one when it ends, however many attempts there were; what is smaller
  // may have found a place in between.
  EXPECT_EQ(fails.count(), works.count() + 1);
  EXPECT_LE(fails.count(), 3);

  // Room comes, and everything goes on.
  const size_t kept = refs.size() / 5;
  refs.resize(kept);
  patient.wait_for_room_max = absl::Seconds(20);
  for (uint64_t i = 0; i < 5; ++i) {
    auto ref = store->Put(BytesOfSeed(kObjectBytes, 1000 + i), patient);
    ASSERT_TRUE(ref.ok()) << ref.status();
    refs.push_back(*std::move(ref));
  }
  for (size_t i = 0; i < refs.size(); ++i) {
    auto view = refs[i].Get();
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(**view, BytesOfSeed(kObjectBytes, i < kept ? i : 1000 + i - kept));
  }
  EXPECT_TRUE(store->Flush().ok());
  EXPECT_EQ(fails.count(), works.count());
}

TEST(DiskLimitTest, CompressionMakesRoom) {
  const std::string repetitive(kObjectBytes, 'x');
  for (const SpillCompression compression : {SpillCompression::kLz4, SpillCompression::kZstd}) {
    StoreDirectory directory;
    StoreOptions options = StoreDirectory::Options(directory.path());
    options.spill_limit_bytes = 24 * kMiB;
    options.spill_compression = compression;
    auto store = OpenStore(options).value();
    std::vector<ObjectRef<std::string>> refs;
    for (int i = 0; i < 100; ++i) refs.push_back(store->Put(repetitive).value());
    for (const auto& ref : refs) EXPECT_EQ(*ref.Get().value(), repetitive);
    PutOptions durable;
    durable.name = "n";
    ASSERT_TRUE(store->Put(repetitive, durable).ok());
    store = nullptr;
    // What was compressed is read by whoever opens the directory.
    options.spill_compression = SpillCompression::kNone;
    EXPECT_EQ(OpenStore(options).value()->Find<std::string>("n")->Read().value(), repetitive);
  }
}

}  // namespace
}  // namespace spillway
