#include "binding/arguments.h"

#include <cmath>
#include <cstddef>
#include <cstring>

#include "binding/fault.h"

namespace weightcast::binding {
namespace {

const char* type_name(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number:
      return "a number";
    case napi_string:
      return "a string";
    case napi_symbol:
      return "a symbol";
    case napi_object:
      return "an object";
    case napi_function:
      return "a function";
    case napi_external:
      return "an external";
    case napi_bigint:
      return "a bigint";
  }
  return "a value of unknown type";
}

Napi::Error expected(const Napi::Value& value, const char* name, const std::string& what) {
  return invalid_argument(value.Env(),
                          std::string("expected ") + what + " for " + name + " but received " + type_name(value));
}

template <typename T>
std::vector<T> to_column(const Napi::Value& value, const char* name, napi_typedarray_type wanted, const char* what) {
  if (!value.IsTypedArray()) throw expected(value, name, what);
  napi_typedarray_type type{};
  std::size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != wanted) {
    throw invalid_argument(
        value.Env(), std::string("expected ") + what + " for " + name + " but received a typed array of another type");
  }
  std::vector<T> column(length);
  if (length > 0) std::memcpy(column.data(), data, length * sizeof(T));
  return column;
}

}  // namespace

Napi::Object to_object(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw expected(value, name, "an object");
  return value.As<Napi::Object>();
}

Napi::Value member(const Napi::Object& object, const char* key) { return object.Get(key); }

std::vector<Napi::Value> to_list(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) throw expected(value, name, "an array");
  const auto array = value.As<Napi::Array>();
  const std::uint32_t length = array.Length();
  std::vector<Napi::Value> list;
  list.reserve(length);
  for (std::uint32_t index = 0; index < length; ++index) list.push_back(array.Get(index));
  return list;
}

std::uint64_t to_u64(const Napi::Value& value, const char* name) {
  if (!value.IsBigInt()) throw expected(value, name, "a bigint");
  int sign = 0;
  std::size_t words = 1;
  std::uint64_t word = 0;
  if (napi_get_value_bigint_words(value.Env(), value, &sign, &words, &word) != napi_ok || sign != 0 || words > 1) {
    throw invalid_argument(value.Env(), std::string("expected a bigint from 0 to 2^64 - 1 for ") + name);
  }
  return words == 0 ? 0 : word;
}

std::uint64_t to_integer(const Napi::Value& value, const char* name, std::uint64_t minimum, std::uint64_t maximum) {
  const std::string what = "a whole number from " + std::to_string(minimum) + " to " + std::to_string(maximum);
  if (!value.IsNumber()) throw expected(value, name, what);
  const double number = value.As<Napi::Number>().DoubleValue();
  constexpr double kLargestSafe = 9007199254740991.0;  // 2^53 - 1
  if (!(number >= 0 && number <= kLargestSafe) || std::trunc(number) != number ||
      static_cast<std::uint64_t>(number) < minimum || static_cast<std::uint64_t>(number) > maximum) {
    throw invalid_argument(value.Env(),
                           "expected " + what + " for " + name + " but received " + value.ToString().Utf8Value());
  }
  return static_cast<std::uint64_t>(number);
}

std::uint32_t to_u32(const Napi::Value& value, const char* name, std::uint32_t minimum, std::uint32_t maximum) {
  return static_cast<std::uint32_t>(to_integer(value, name, minimum, maximum));
}

bool to_flag(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) throw expected(value, name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string to_text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw expected(value, name, "a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) {
    throw invalid_argument(value.Env(), std::string("expected a string without NUL characters for ") + name);
  }
  return text;
}

topology::Numbers to_numbers(const Napi::Value& value, const char* name) {
  auto numbers = topology::parse_numbers(to_text(value, name));
  if (!numbers) throw expected(value, name, "a list such as 0-3,8");
  return std::move(*numbers);
}

std::vector<std::uint64_t> to_u64_column(const Napi::Value& value, const char* name) {
  return to_column<std::uint64_t>(value, name, napi_biguint64_array, "a BigUint64Array");
}

std::vector<std::uint32_t> to_u32_column(const Napi::Value& value, const char* name) {
  return to_column<std::uint32_t>(value, name, napi_uint32_array, "a Uint32Array");
}

std::vector<std::uint8_t> to_u8_column(const Napi::Value& value, const char* name) {
  return to_column<std::uint8_t>(value, name, napi_uint8_array, "a Uint8Array");
}

}  // namespace weightcast::binding
