#include "serialization/codec.h"

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serialization/payload.h"

namespace spillway {
namespace {

template <typename T>
class ScalarCodecTest : public testing::Test {};
using Scalars = testing::Types<bool, char, signed char, unsigned char, int16_t, uint16_t, int32_t,
                               uint32_t, int64_t, uint64_t, long, long long, char8_t, char16_t,
                               char32_t, float, double, std::byte>;
TYPED_TEST_SUITE(ScalarCodecTest, Scalars);

TYPED_TEST(ScalarCodecTest, RoundTripsItsExtremes) {
  using T = TypeParam;
  std::vector<T> values = {T{}, static_cast<T>(1)};
  if constexpr (std::numeric_limits<T>::is_specialized) {
    values.push_back(std::numeric_limits<T>::lowest());
    values.push_back(std::numeric_limits<T>::max());
  }
  for (T value : values) {
    Payload payload = EncodeToPayload<T>(value);
    EXPECT_EQ(payload.size(), 16 + sizeof(T));
    EXPECT_TRUE(Codec<T>::Verify(payload.bytes()).ok()) << Codec<T>::Verify(payload.bytes());
    EXPECT_EQ(Codec<T>::Decode(Codec<T>::MakeView(payload.bytes())), value);
  }
}

TEST(CodecTest, FloatsKeepEveryBit) {
  for (double value : {std::nan("7"), -std::nan(""), 5e-324, -0.0, HUGE_VAL}) {
    Payload payload = EncodeToPayload<double>(value);
    double view = Codec<double>::MakeView(payload.bytes());
    EXPECT_EQ(std::memcmp(&view, &value, sizeof value), 0);
  }
}

TEST(CodecTest, StringsRoundTripAtEveryLength) {
  for (size_t length : {0, 1, 2, 3, 4, 63, 64, 103, 104, 105, 106, 1023, 1024, 1025, 100000}) {
    std::string value(length, 'x');
    for (size_t i = 0; i < length; ++i) value[i] = static_cast<char>(i * 7);  // NULs too
    Payload payload = EncodeToPayload<std::string>(value);
    EXPECT_TRUE(Codec<std::string>::Verify(payload.bytes()).ok())
        << Codec<std::string>::Verify(payload.bytes());
    EXPECT_EQ(Codec<std::string>::MakeView(payload.bytes()), value);
  }
}

TEST(CodecTest, ShortStringsTakeTheLeastThatTheFormatPermits) {
  EXPECT_EQ(EncodeToPayload<std::string>(std::string(64, 'x')).size(), 64 + 24);
  EXPECT_EQ(EncodeToPayload<std::string>(std::string(63, 'x')).size(), 63 + 23);
  EXPECT_EQ(EncodeToPayload<std::string>(std::string()).size(), 24);
}

template <typename E>
class VectorCodecTest : public testing::Test {};
TYPED_TEST_SUITE(VectorCodecTest, Scalars);

TYPED_TEST(VectorCodecTest, RoundTripsAtEveryLength) {
  using E = TypeParam;
  using C = Codec<std::vector<E>>;
  for (size_t length : {0, 1, 2, 3, 7, 127, 128, 129, 1023, 1024, 1025, 5000}) {
    std::vector<E> value(length);
    for (size_t i = 0; i < length; ++i)
      value[i] = static_cast<E>(std::is_same_v<E, bool> ? i % 2 : i);
    Payload payload = EncodeToPayload<std::vector<E>>(value);
    EXPECT_TRUE(C::Verify(payload.bytes()).ok()) << C::Verify(payload.bytes());
    absl::Span<const E> view = C::MakeView(payload.bytes());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data()) % alignof(E), 0);
    if (length * sizeof(E) >= 1024) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data()) % 64, 0);
    }
    EXPECT_EQ(C::Decode(view), value);
  }
}

TEST(CodecTest, VectorsOfStringsRoundTrip) {
  using C = Codec<std::vector<std::string>>;
  for (const std::vector<std::string>& value : std::vector<std::vector<std::string>>{
           {}, {""}, {"", "a", "", "bcd", std::string("e\0f", 3), std::string(5000, 'g')}}) {
    Payload payload = EncodeToPayload<std::vector<std::string>>(value);
    EXPECT_TRUE(C::Verify(payload.bytes()).ok()) << C::Verify(payload.bytes());
    StringVectorView view = C::MakeView(payload.bytes());
    ASSERT_EQ(view.size(), value.size());
    EXPECT_TRUE(std::equal(view.begin(), view.end(), value.begin()));
    EXPECT_EQ(C::Decode(view), value);
  }
}

TEST(CodecTest, RawBytesAreStoredAsTheyAre) {
  Payload payload = EncodeToPayload<RawBytes>(absl::Span<const char>("abc", 3));
  EXPECT_EQ(payload.size(), 3);
  EXPECT_EQ(Codec<RawBytes>::Decode(payload.bytes()).bytes, "abc");
  EXPECT_EQ(EncodeToPayload<RawBytes>(RawBytes{}).size(), 0);
  EXPECT_EQ(Codec<RawBytes>::Type(), ObjectType{});
}

TEST(CodecTest, ArgumentsAreStoredAsTheirOwningType) {
  static_assert(std::is_same_v<StoredType<const char(&)[6]>, std::string>);
  static_assert(std::is_same_v<StoredType<const char*>, std::string>);
  static_assert(std::is_same_v<StoredType<std::string_view>, std::string>);
  static_assert(std::is_same_v<StoredType<absl::string_view>, std::string>);
  static_assert(std::is_same_v<StoredType<const std::string&>, std::string>);
  static_assert(std::is_same_v<StoredType<absl::Span<const double>>, std::vector<double>>);
  static_assert(std::is_same_v<StoredType<std::array<float, 3>&>, std::vector<float>>);
  static_assert(std::is_same_v<StoredType<const int(&)[3]>, std::vector<int>>);
  static_assert(std::is_same_v<StoredType<std::initializer_list<int>>, std::vector<int>>);
  static_assert(
      std::is_same_v<StoredType<std::vector<std::string_view>>, std::vector<std::string>>);
  static_assert(std::is_same_v<StoredType<const char* [2]>, std::vector<std::string>>);
  static_assert(std::is_same_v<StoredType<int>, int>);

  EXPECT_EQ(DecodedFrom("abc"), "abc");
  EXPECT_EQ(DecodedFrom(absl::string_view("abc")), "abc");
  EXPECT_EQ(DecodedFrom(std::array<float, 2>{1, 2}), (std::vector<float>{1, 2}));
  int numbers[] = {1, 2, 3};
  EXPECT_EQ(DecodedFrom(numbers), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(DecodedFrom(absl::MakeSpan(numbers)), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(DecodedFrom(std::vector<absl::string_view>{"a", "b"}),
            (std::vector<std::string>{"a", "b"}));
}

// The bytes as the document shows them, in hexadecimal digits.
template <typename T>
std::string Hex(const T& value) {
  std::string hex = absl::BytesToHexString(EncodeToPayload<T>(value).ToString());
  std::string spaced;
  for (size_t i = 0; i < hex.size(); i += 2) spaced += hex.substr(i, 2) + " ";
  return spaced;
}

TEST(CodecTest, TheFormatDocumentShowsWhatIsWritten) {
  std::ifstream file("serialization/FORMAT.md");
  std::stringstream text;
  text << file.rdbuf();
  // Without double spaces and line breaks.
  std::string document;
  for (char c : text.str()) {
    if (c == '\n') c = ' ';
    if (c != ' ' || document.empty() || document.back() != ' ') document += c;
  }
  EXPECT_THAT(document, testing::HasSubstr(Hex(std::vector<double>{1, 2})));
  EXPECT_THAT(document, testing::HasSubstr(Hex(std::string("hi"))));
}

TEST(CodecTest, ValuesBeyondAFlatBufferAreRefusedBeforeTheyAreTouched) {
  const double* nowhere = nullptr;
  auto doubles = Codec<std::vector<double>>::EncodedSize({nowhere, size_t{300} << 20});
  EXPECT_EQ(doubles.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      doubles.status().message(),
      "vector<double> needs a payload of 2516582464 bytes, more than the 2147483646 bytes of the "
      "largest FlatBuffer; split it, or put it as RawBytes");
  EXPECT_FALSE(Codec<std::vector<double>>::EncodedSize({nowhere, SIZE_MAX / 4}).ok());
  EXPECT_FALSE(Codec<std::string>::EncodedSize(std::string_view("", size_t{1} << 31)).ok());
  EXPECT_EQ(Codec<RawBytes>::EncodedSize(absl::Span<const char>("", size_t{1} << 40)).value(),
            size_t{1} << 40);
}

}  // namespace
}  // namespace spillway
