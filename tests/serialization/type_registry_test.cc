#include "serialization/type_registry.h"

#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "flatbuffers/idl.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/internal/binary_schema.h"
#include "serialization/internal/schema.h"
#include "serialization/internal/schema_of_name.h"
#include "serialization/object.h"
#include "tests/serialization/zoo_generated.h"

namespace farm {

enum class Crop : uint16_t { kWheat, kRye };

struct Field {
  double hectares = 0;
  int8_t quality = 0;
};

struct Farm {
  std::string name;
  std::vector<Field> fields;
  std::optional<float> altitude;
  Crop crop = Crop::kRye;
  std::vector<Farm> neighbours;
};

}  // namespace farm

SPILLWAY_OBJECT(farm::Field, hectares, quality)
SPILLWAY_OBJECT(farm::Farm, name, fields, altitude, crop, neighbours)

namespace spillway {
namespace {

using internal::FingerprintOf;
using internal::SchemaOfTable;

// The schema of a table in a text, by way of flatc's own compiler.
internal::Schema Compile(const std::string& text, const std::string& table) {
  flatbuffers::IDLOptions options;
  flatbuffers::Parser parser(options);
  EXPECT_TRUE(parser.Parse(text.c_str())) << parser.error_ << "\n" << text;
  parser.Serialize();
  EXPECT_TRUE(
      internal::IsValidBinarySchema(parser.builder_.GetBufferPointer(), parser.builder_.GetSize()));
  return SchemaOfTable(parser.builder_.GetBufferPointer(), table);
}

std::string ReadFile(const std::string& name) {
  std::ifstream file(name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

template <typename T>
class SchemaOfTypeTest : public testing::Test {};
using Types = testing::Types<
    bool, char, std::byte, int8_t, uint64_t, char32_t, float, double, std::string, farm::Crop,
    std::vector<bool>, std::vector<int>, std::vector<std::string>, std::vector<farm::Crop>,
    std::optional<int>, std::optional<std::string>, std::optional<std::optional<bool>>,
    std::pair<int, std::string>, std::pair<int8_t, double>, std::tuple<>,
    std::tuple<std::vector<double>, std::monostate>, std::variant<int, std::string, farm::Field>,
    std::variant<std::optional<int>, std::vector<bool>>, std::map<std::string, std::vector<int>>,
    std::vector<std::vector<std::vector<float>>>, std::array<float, 3>, std::array<std::string, 3>,
    std::vector<std::pair<int8_t, std::array<int, 2>>>, farm::Field, std::vector<farm::Field>,
    farm::Farm, std::vector<farm::Farm>, std::map<int, std::optional<farm::Farm>>>;
TYPED_TEST_SUITE(SchemaOfTypeTest, Types);

// What flatc makes of the text is what the codec's fingerprint was made of.
TYPED_TEST(SchemaOfTypeTest, IsUnderstoodByFlatcAsItIsMeant) {
  RegisterType<TypeParam>();
  std::string text = SchemaText(Codec<TypeParam>::TypeName()).value();
  std::string root = text.substr(text.find("root_type ") + strlen("root_type "));
  root = root.substr(0, root.find(';'));
  EXPECT_EQ(FingerprintOf(Compile(text, root)), Codec<TypeParam>::Type().fingerprint) << text;
}

// And what the registry says of the name alone, for a program that does not know the type.
TYPED_TEST(SchemaOfTypeTest, FollowsFromTheName) {
  RegisterType<TypeParam>();
  std::string name = Codec<TypeParam>::TypeName();
  // Types that are not composed are known by their names, or not at all.
  if (name.find('<') == std::string::npos) return;
  auto find = [](const std::string& part) -> std::optional<internal::NamedType> {
    RegisterType<farm::Crop>();
    RegisterType<farm::Farm>();
    RegisterType<farm::Field>();
    auto named = [&]<typename T>(std::type_identity<T>) -> std::optional<internal::NamedType> {
      if (Codec<T>::TypeName() != part) return std::nullopt;
      return internal::NamedType{Codec<T>::Type(), internal::DescribeRoot<T>()};
    };
    std::optional<internal::NamedType> found;
    auto any = [&](auto... types) { ((found = found ? found : named(types)), ...); };
    any(std::type_identity<bool>(), std::type_identity<char>(), std::type_identity<int8_t>(),
        std::type_identity<uint8_t>(), std::type_identity<int>(), std::type_identity<float>(),
        std::type_identity<double>(), std::type_identity<std::string>(),
        std::type_identity<farm::Crop>(), std::type_identity<farm::Field>(),
        std::type_identity<farm::Farm>());
    return found;
  };
  std::optional<internal::Schema> schema = internal::SchemaOfName(name, find);
  ASSERT_TRUE(schema.has_value()) << name;
  EXPECT_EQ(FingerprintOf(*schema), Codec<TypeParam>::Type().fingerprint)
      << internal::SchemaToText(*schema);
  EXPECT_EQ(internal::SchemaToText(*schema), SchemaText(name).value());
}

template <typename... Ts>
void ExpectInFile(const std::string& file) {
  std::string text = ReadFile(file);
  (
      [&] {
        RegisterType<Ts>();
        std::string own = SchemaText(Codec<Ts>::TypeName()).value();
        std::string table = own.substr(own.find("root_type ") + strlen("root_type "));
        table = table.substr(0, table.find(';'));
        EXPECT_EQ(FingerprintOf(Compile(text, table)), Codec<Ts>::Type().fingerprint)
            << table << " in " << file;
      }(),
      ...);
}

TEST(TypeRegistryTest, TheSchemaFilesSayWhatIsWritten) {
  ExpectInFile<bool, char, std::byte, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
               uint32_t, uint64_t, char8_t, char16_t, char32_t, float, double, std::string>(
      "serialization/scalars.fbs");
  ExpectInFile<std::vector<bool>, std::vector<char>, std::vector<std::byte>, std::vector<int8_t>,
               std::vector<int16_t>, std::vector<int32_t>, std::vector<int64_t>,
               std::vector<uint8_t>, std::vector<uint16_t>, std::vector<uint32_t>,
               std::vector<uint64_t>, std::vector<char8_t>, std::vector<char16_t>,
               std::vector<char32_t>, std::vector<float>, std::vector<double>,
               std::vector<std::string>>("serialization/vectors.fbs");
}

TEST(TypeRegistryTest, ATablesFingerprintIsThatOfItsSchemaFile) {
  internal::Schema schema = Compile(ReadFile("tests/serialization/zoo.fbs"), "zoo.Animal");
  EXPECT_EQ(Codec<zoo::Animal>::Type().fingerprint, FingerprintOf(schema));
  EXPECT_NE(Codec<zoo::Animal>::Type().fingerprint, 0);
  EXPECT_NE(Codec<zoo::Food>::Type(), Codec<zoo::Keeper>::Type());
}

TEST(TypeRegistryTest, ATablesSchemaTextCompilesToTheSameSchema) {
  std::string text = SchemaText("zoo.Animal").value();
  EXPECT_EQ(FingerprintOf(Compile(text, "zoo.Animal")), Codec<zoo::Animal>::Type().fingerprint)
      << text;
  EXPECT_THAT(text, testing::EndsWith("root_type zoo.Animal;\nfile_identifier \"ZOOA\";\n"));
}

// These numbers stand on disks. A change here makes what was stored before unreadable.
TEST(TypeRegistryTest, IdentitiesStayWhatTheyAre) {
  auto identity = [](const ObjectType& type) {
    return absl::StrCat(absl::Hex(type.type_id, absl::kZeroPad16), " ",
                        absl::Hex(type.fingerprint, absl::kZeroPad16));
  };
  EXPECT_EQ(identity(Codec<bool>::Type()), "cd2fd49bc6b014bd 57d546c0428e69be");
  EXPECT_EQ(identity(Codec<int64_t>::Type()), "f9d0c88f42834344 fcfa93b46080b62f");
  EXPECT_EQ(identity(Codec<std::string>::Type()), "704be0d8faaffc58 9046f3dd5a716ebc");
  EXPECT_EQ(identity(Codec<std::vector<double>>::Type()), "89287c8f3672921b 00ae11a8f23fd4d2");
  EXPECT_EQ(identity(Codec<std::vector<std::string>>::Type()), "5bfe86140e100937 b59436c659e35a7b");
  EXPECT_EQ(identity(Codec<std::map<std::string, std::vector<int>>>::Type()),
            "d50a7440b7382f71 a3b338b7c95f4a47");
  EXPECT_EQ(identity(Codec<std::variant<int, std::optional<float>>>::Type()),
            "b8cd5ed17464cd34 9425e72cd01730d6");
  EXPECT_EQ(identity(Codec<farm::Crop>::Type()), "08c3e7aece375227 8bd01df0c36f0d39");
  EXPECT_EQ(identity(Codec<farm::Field>::Type()), "e99266dc194da8d7 13ae2e460612b3ba");
  EXPECT_EQ(identity(Codec<farm::Farm>::Type()), "cf2ec596ba385d29 418e6c81509acd29");
  EXPECT_EQ(identity(Codec<zoo::Animal>::Type()), "abe504e5b6e4ff4b 91eb656fc82aed8b");
}

TEST(TypeRegistryTest, EveryTypeHasAnIdentityOfItsOwn) {
  std::vector<ObjectType> types = {Codec<RawBytes>::Type(),
                                   Codec<int8_t>::Type(),
                                   Codec<char>::Type(),
                                   Codec<uint8_t>::Type(),
                                   Codec<std::byte>::Type(),
                                   Codec<farm::Crop>::Type(),
                                   Codec<uint16_t>::Type(),
                                   Codec<std::vector<char>>::Type(),
                                   Codec<std::vector<int8_t>>::Type(),
                                   Codec<std::string>::Type(),
                                   Codec<std::pair<int, int>>::Type(),
                                   Codec<std::tuple<int, int>>::Type(),
                                   Codec<std::array<int, 2>>::Type(),
                                   Codec<std::array<int, 3>>::Type()};
  for (size_t i = 0; i < types.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(IsReadableAs(types[i], types[j])) << i << " " << j;
  }
}

TEST(TypeRegistryTest, WrongTypesAreRefusedByName) {
  EXPECT_EQ(CheckReadable(Codec<std::vector<double>>::Type(), Codec<std::string>::Type(), 42, 1024),
            absl::FailedPreconditionError(
                "object 42 of 1024 bytes holds vector<double> and was asked for as string"));
  EXPECT_EQ(
      CheckReadable({0x1234, 1, Encoding::kFlatBuffer}, Codec<farm::Farm>::Type(), 7, 64),
      absl::FailedPreconditionError(
          "object 7 of 64 bytes holds a type unknown here (id 0000000000001234) and was asked "
          "for as farm.Farm"));
  ObjectType other = Codec<farm::Farm>::Type();
  other.fingerprint = 0x99;
  absl::Status status = CheckReadable(other, Codec<farm::Farm>::Type(), 7, 64);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              testing::StartsWith("object 7 of 64 bytes holds farm.Farm with the schema "
                                  "0000000000000099 and was asked for as farm.Farm with"));
}

TEST(TypeRegistryTest, ATableWithoutSchemaIsCheckedByItsNameAlone) {
  ObjectType unknown = Codec<zoo::Animal>::Type();
  unknown.fingerprint = 0;
  EXPECT_TRUE(IsReadableAs(unknown, Codec<zoo::Animal>::Type()));
  EXPECT_TRUE(IsReadableAs(Codec<zoo::Animal>::Type(), unknown));
}

TEST(TypeRegistryTest, UnknownNamesAreNotFound) {
  EXPECT_EQ(SchemaText("no.Such").status(),
            absl::NotFoundError("no type called no.Such is known to this program"));
  for (const char* malformed :
       {"", "<", "vector", "vector<", "vector<>", "vector<int32", "vector<int32>>",
        "vector<int32,int32>", "pair<int32>", "array<int32>", "array<int32,>", "array<int32,0>",
        "array<int32,x>", "array<2,int32>", "vector<no.Such>", "variant<>", "map<string, int32>",
        "tuple<,>", "vector<vector<>>"}) {
    EXPECT_EQ(SchemaText(malformed).status().code(), absl::StatusCode::kNotFound) << malformed;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "vector<";
  EXPECT_EQ(SchemaText(deep).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SchemaText("raw").value(), "// Bytes without structure.\n");
}

TEST(TypeRegistryTest, ComposedTypesNeedNotBeKnown) {
  EXPECT_EQ(SchemaText("map<string,optional<uint16>>").value(),
            "namespace spillway.types;\n\n"
            "table OptionalOfUint16 {\n  value:ushort = null;\n}\n\n"
            "table MapOfStringToOptionalOfUint16 {\n  keys:[string];\n"
            "  values:[spillway.types.OptionalOfUint16];\n}\n\n"
            "root_type spillway.types.MapOfStringToOptionalOfUint16;\n");
  EXPECT_THAT(SchemaText("vector<zoo.Animal>").value(), testing::HasSubstr("table Animal {"));
}

TEST(TypeRegistryTest, TypesThatAreLinkedInAreListed) {
  std::vector<std::string> types = RegisteredTypes();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_THAT(types, testing::IsSupersetOf({"raw", "bool", "string", "vector<string>", "farm.Farm",
                                            "zoo.Animal", "zoo.Keeper"}));
}

TEST(TypeRegistryDeathTest, TwoSchemasOfOneNameAreAMistake) {
  RegisterType<farm::Farm>();
  EXPECT_DEATH(CustomType("farm.Farm", 1, "something else"),
               "two types called farm.Farm with different schemas");
}

}  // namespace
}  // namespace spillway
