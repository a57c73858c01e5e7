#include "moses_prefixes.h"

#include "moses_characters.h"

namespace whence {
namespace {

// The lists of Moses for the languages of the FSMT checkpoints.
constexpr const char16_t* kGerman =
    u"A B C D E F G H I J K L M N O P Q R S T U V W X Y Z a b c d e f g h i j k l m n o p q r s t u v w x y z II "
    u"III IV VI VII VIII IX XI XII XIII XIV XV XVI XVII XVIII XIX XX ii iii iv vi vii viii ix xi xii xiii xiv xv "
    u"xvi xvii xviii xix xx Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Ens Gen "
    u"Gov Hon Hosp Insp Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev "
    u"Rt Sen Sens Sfc Sgt Sr St Supt Surg Mio Mrd bzw vs usw d.h z.B u.a etc MwSt ggf d.J D.h m.E vgl I.F z.T "
    u"sogen ff u.E g.U g.g.A c.-à-d Buchst u.s.w sog u.ä Std evtl Zt Chr u.U o.ä Ltd b.A z.Zt spp sen SA k.o jun "
    u"i.H.v dgl dergl Co zzt usf s.p.a Dkr bzgl BSE No Nos Art Nr pp ca Ca 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 "
    u"17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 "
    u"53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 "
    u"89 90 91 92 93 94 95 96 97 98 99";
constexpr const char16_t* kEnglish =
    u"A B C D E F G H I J K L M N O P Q R S T U V W X Y Z Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr "
    u"Con Corp Cpl DR Dr Drs Ens Gen Gov Hon Hr Hosp Insp Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op "
    u"Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt Sen Sens Sfc Sgt Sr St Supt Surg v vs i.e rev e.g Rs Nos Nr Jan Feb "
    u"Mar Apr Jun Jul Aug Sep Oct Nov Dec";
constexpr const char16_t* kRussian =
    u"А Б В Г Д Е Ж З И Й К Л М Н О П Р С Т У Ф Х Ц Ч Ш Щ Ъ Ы Ь Э Ю Я A B C D E F G H I J K L M N O P Q R S T U V "
    u"W X Y Z 0гг 1гг 2гг 3гг 4гг 5гг 6гг 7гг 8гг 9гг 0г 1г 2г 3г 4г 5г 6г 7г 8г 9г Xвв Vвв Iвв Lвв Mвв Cвв Xв Vв "
    u"Iв Lв Mв Cв 0м 1м 2м 3м 4м 5м 6м 7м 8м 9м 0мм 1мм 2мм 3мм 4мм 5мм 6мм 7мм 8мм 9мм 0см 1см 2см 3см 4см 5см "
    u"6см 7см 8см 9см 0дм 1дм 2дм 3дм 4дм 5дм 6дм 7дм 8дм 9дм 0л 1л 2л 3л 4л 5л 6л 7л 8л 9л 0км 1км 2км 3км 4км "
    u"5км 6км 7км 8км 9км 0га 1га 2га 3га 4га 5га 6га 7га 8га 9га 0кг 1кг 2кг 3кг 4кг 5кг 6кг 7кг 8кг 9кг 0т 1т 2т "
    u"3т 4т 5т 6т 7т 8т 9т 0мг 1мг 2мг 3мг 4мг 5мг 6мг 7мг 8мг 9мг бульв в вв г га гг гл гос д дм доп др е ед зам "
    u"и инд исп Исп к кап кг кв кл км кол комн коп куб л лиц лл м макс мг мин мл млн млрд мм н наб нач неуд ном о "
    u"обл обр общ ок ост отл п пер перераб пл пос пр просп проф р ред руб с сб св см соч ср ст стр т тел Тел тех "
    u"тт туп тыс уд ул уч физ х хор ч чел шт экз э";
constexpr const char16_t* kEnglishBeforeDigits = u"No Art pp";

const char16_t* list_of(std::string_view language) {
  if (language == "de") return kGerman;
  if (language == "en") return kEnglish;
  if (language == "ru") return kRussian;
  return nullptr;
}

}  // namespace

bool has_moses_prefixes(std::string_view language) { return list_of(language) != nullptr; }

MosesPrefixes moses_prefixes(std::string_view language) {
  MosesPrefixes prefixes;
  for (const auto word : split_words(list_of(language))) prefixes.always.emplace(word);
  if (language == "en")
    for (const auto word : split_words(kEnglishBeforeDigits)) prefixes.before_digits.emplace(word);
  return prefixes;
}

}  // namespace whence
