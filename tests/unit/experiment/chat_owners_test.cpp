#include "host/chat_owners.h"

#include <gtest/gtest.h>

#include "whence/error.h"

namespace whence::host {
namespace {

Value::List chat(const std::vector<std::pair<std::string, std::string>>& messages) {
  Value::List list;
  for (const auto& [role, content] : messages)
    list.push_back(Value(Value::Map{{"role", Value(role)}, {"content", Value(content)}}));
  return list;
}

std::string text_at(const Value& message, const char* key) { return message.at(key).as_string(); }

/// As ChatML writes messages.
std::string chatml(const Value::List& messages, bool open) {
  std::string text = "<s>";
  for (const Value& message : messages)
    text += "[" + text_at(message, "role") + "]" + text_at(message, "content") + "[/]\n";
  return text + (open ? "[assistant]" : "");
}

/// The text with every owner: digits for contents, letters for markup, '-' for neither.
std::string owners_of(const Value::List& messages, bool open, const RenderMessages& render) {
  std::string drawn;
  for (const Owner& owner : chat_owners(render(messages, open), messages, open, render, "<s>"))
    drawn += owner.turn < 0 ? '-' : static_cast<char>((owner.content ? '0' : 'a') + owner.turn);
  return drawn;
}

TEST(ChatOwners, TellMarkupFromContents) {
  // <s>[user]hi, you![/]\n[assistant]
  EXPECT_EQ(owners_of(chat({{"user", "hi, you!"}}), true, chatml), "---aaaaaa00000000aaaabbbbbbbbbbb");
}

TEST(ChatOwners, ContentsMayLookLikeMarkup) {
  // <s>[user]user[/]\n[user][user]\n
  EXPECT_EQ(owners_of(chat({{"user", "user"}, {"user", "[user]"}}), false, chatml),
            "---aaaaaa0000aaaabbbbbb111111bbbb");
}

TEST(ChatOwners, BlanksThatAreTakenOffBelongToTheMarkup) {
  const auto trims = [](const Value::List& messages, bool) {
    std::string text = text_at(messages[0], "content");
    text = text.substr(text.find_first_not_of('\n'));
    return "[" + std::string("user") + "]\n" + text.substr(0, text.find_last_not_of('\n') + 1) + "\n";
  };
  EXPECT_EQ(owners_of(chat({{"user", "\nhi there\n"}}), false, trims), "aaaaaaa00000000a");
}

TEST(ChatOwners, FollowAMessageThatIsWrittenInsideAnother) {
  const auto inside = [](const Value::List& messages, bool) {
    const std::string user = messages.size() > 1 ? text_at(messages[1], "content") : "";
    return "[I]<<" + text_at(messages[0], "content") + ">>" + user + "[/I]";
  };
  EXPECT_EQ(owners_of(chat({{"system", "short"}, {"user", "hello"}}), true, inside), "aaaaa00000aa11111bbbb");
}

TEST(ChatOwners, SeeOnlyWhatIsWrittenOfAMessage) {
  const auto cuts = [](const Value::List& messages, bool) {
    const std::string text = text_at(messages[0], "content");
    const auto end = text.find("</think>");
    return "A:" + (end == std::string::npos ? text : text.substr(end + 8)) + ".";
  };
  EXPECT_EQ(owners_of(chat({{"assistant", "<think>x</think>four"}}), false, cuts), "aa0000a");
  const auto drops = [](const Value::List&, bool) { return std::string("nothing"); };
  EXPECT_EQ(owners_of(chat({{"system", "gone"}}), false, drops), "aaaaaaa");
}

TEST(ChatOwners, HoldForOtherScripts) {
  EXPECT_EQ(owners_of(chat({{"user", "日本 ж"}, {"user", "?!"}}), false, chatml), "---aaaaaa000000000aaaabbbbbb11bbbb");
}

}  // namespace
}  // namespace whence::host
