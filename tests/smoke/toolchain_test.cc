// Whether the libraries that everything else rests on can be compiled against, linked and run under
// the configuration in use. When this fails, look at the machine before looking at Spillway.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "flatbuffers/flatbuffers.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "tests/smoke/greeting_generated.h"

namespace spillway {
namespace {

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError(absl::StrFormat("%d is odd", n));
  return n / 2;
}

TEST(ToolchainTest, AbseilLinksAndCarriesErrors) {
  EXPECT_EQ(*Half(4), 2);
  EXPECT_EQ(Half(3).status().message(), "3 is odd");
  absl::flat_hash_map<std::string, int> map = {{"one", 1}};
  EXPECT_EQ(map.at("one"), 1);
  absl::BitGen random;
  EXPECT_LT(absl::Uniform(random, 0, 10), 10);
  EXPECT_GT(absl::Now(), absl::UnixEpoch());
}

TEST(ToolchainTest, ChecksOfProgrammerErrorsStayOnWhenOptimised) {
  const auto fail = [] { CHECK_EQ(1 + 1, 3) << "on purpose"; };
  EXPECT_DEATH(fail(), "on purpose");
}

TEST(ToolchainTest, GeneratedTableGoesThereAndBack) {
  smoke::GreetingT greeting;
  greeting.text = "hello";
  greeting.tone = smoke::Tone::Warm;
  greeting.numbers = {1.5, 2.5};
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(smoke::Greeting::Pack(builder, &greeting));

  flatbuffers::Verifier verifier(builder.GetBufferPointer(), builder.GetSize());
  ASSERT_TRUE(smoke::VerifyGreetingBuffer(verifier));
  const smoke::Greeting* read = smoke::GetGreeting(builder.GetBufferPointer());
  EXPECT_EQ(read->text()->str(), "hello");
  EXPECT_EQ(read->tone(), smoke::Tone::Warm);
  EXPECT_EQ(*std::unique_ptr<smoke::GreetingT>(read->UnPack()), greeting);
  EXPECT_EQ(access("tests/smoke/greeting.bfbs", R_OK), 0);
}

TEST(ToolchainTest, TestDirectoryTakesDirectIo) {
  const std::string path = absl::StrCat(std::getenv("TEST_TMPDIR"), "/direct");
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  EXPECT_GE(fd, 0) << "TEST_TMPDIR is not on a file system with O_DIRECT: " << path;
  if (fd >= 0) close(fd);
}

TEST(ToolchainTest, RocksDbStoresAndFinds) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.use_direct_reads = true;
  rocksdb::DB* opened = nullptr;
  const std::string path = absl::StrCat(std::getenv("TEST_TMPDIR"), "/db");
  ASSERT_TRUE(rocksdb::DB::Open(options, path, &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);

  std::vector<std::thread> writers;
  for (int writer = 0; writer < 2; ++writer) {
    writers.emplace_back([&db, writer] {
      for (int i = 0; i < 100; ++i) {
        CHECK(db->Put(rocksdb::WriteOptions(), absl::StrCat(writer, "/", i), absl::StrCat(i)).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(db->Flush(rocksdb::FlushOptions()).ok());

  std::string value;
  ASSERT_TRUE(db->Get(rocksdb::ReadOptions(), "1/42", &value).ok());
  EXPECT_EQ(value, "42");
  EXPECT_TRUE(db->Get(rocksdb::ReadOptions(), "2/0", &value).IsNotFound());
}

}  // namespace
}  // namespace spillway
