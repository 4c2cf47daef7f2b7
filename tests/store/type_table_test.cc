#include "store/internal/type_table.h"

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "serialization/object_type.h"

namespace spillway::internal {
namespace {

ObjectType Type(uint64_t id, uint64_t fingerprint = 0, Encoding encoding = Encoding::kFlatBuffer) {
  return ObjectType{id, fingerprint, encoding};
}

TEST(TypeTableTest, RawBytesAreThereFromTheStart) {
  EXPECT_EQ(TypeNumber(ObjectType{}, ""), kRawType);
  EXPECT_EQ(DescribeType(kRawType), "raw bytes");
}

TEST(TypeTableTest, ATypeKeepsItsNumberAndGetsItsNameLater) {
  const uint16_t number = TypeNumber(Type(0xabc1, 7), "");
  EXPECT_EQ(TypeOf(number), Type(0xabc1, 7));
  EXPECT_EQ(TypeNameOf(number), "");
  EXPECT_EQ(DescribeType(number), "a type unknown here (id 000000000000abc1)");
  EXPECT_EQ(TypeNumber(Type(0xabc1, 7), "Named"), number);
  EXPECT_EQ(TypeNumber(Type(0xabc1, 7), "Other"), number);
  EXPECT_EQ(DescribeType(number), "Named");
  EXPECT_NE(TypeNumber(Type(0xabc1, 8), "Named"), number);
}

TEST(TypeTableTest, TypesAgreeUpToAnUnknownFingerprint) {
  const uint16_t one = TypeNumber(Type(0xabd1, 1), "A");
  const uint16_t two = TypeNumber(Type(0xabd1, 2), "A");
  const uint16_t any = TypeNumber(Type(0xabd1, 0), "A");
  const uint16_t custom = TypeNumber(Type(0xabd1, 1, Encoding::kCustom), "A");
  const uint16_t other = TypeNumber(Type(0xabd2, 1), "B");
  EXPECT_TRUE(TypesAgree(one, one));
  EXPECT_TRUE(TypesAgree(one, any));
  EXPECT_TRUE(TypesAgree(any, two));
  EXPECT_FALSE(TypesAgree(one, two));
  EXPECT_FALSE(TypesAgree(one, custom));
  EXPECT_FALSE(TypesAgree(one, other));
}

TEST(TypeTableTest, ThreadsAgreeOnNumbers) {
  constexpr int kThreads = 4, kTypes = 200;
  std::vector<std::vector<uint16_t>> numbers(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&numbers, t] {
      for (uint64_t i = 0; i < kTypes; ++i) {
        numbers[t].push_back(TypeNumber(Type(0x10000 + i), "T" + std::to_string(i)));
        EXPECT_EQ(TypeOf(numbers[t].back()).type_id, 0x10000 + i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 1; t < kThreads; ++t) EXPECT_EQ(numbers[t], numbers[0]);
}

}  // namespace
}  // namespace spillway::internal
