"""Words that carry no topic of their own, folded, by language; they also tell languages apart."""

from __future__ import annotations

__all__ = ["JAPANESE_TAILS", "STOP_WORDS", "STOP_WORDS_OF"]

_ENGLISH = """
a about above actually after again against ago ah all almost already also although always am an and another any anyone anything
anyway are aren't around as ask at away awesome back be because been before being below best better between both but by bye can can't
cannot come could couldn't day days definitely did didn't do does doesn't doing don't done down during each either else enough
especially etc even ever every everyone everything exactly feel few find first for forward from get gets getting give glad go goes
going gonna good got gotta great had hadn't has hasn't have haven't having he he'd he'll he's hello help her here here's hers herself
hey hi him himself his hope how how's however i i'd i'll i'm i've if in indeed into is isn't it it'd it'll it's its itself just
keep kind kinda know last later least less let let's like little ll long look lot lots made make makes making many may maybe me mean
might mine more most much must my myself need never new next nice no nope not nothing now of off oh ok okay on once one ones only onto
or other others our ours ourselves out over own people perhaps please pretty probably put quite rather re really right said same say
says see seem seems she she'd she'll she's should shouldn't since so some someone something sometimes soon sound sounds still such sure
take talk tell than thank thanks that that'll that's the their theirs them themselves then there there's these they they'd they'll
they're they've thing things think this those though through time times to today together told tomorrow tonight too totally toward try
trying two under until up upon us use used using usually ve very wanna want wanted wants was wasn't way we we'd we'll we're we've well
went were weren't what what's whatever when where which while who who's whom whose why will wish with within without won't wonderful
work works would wouldn't wow yeah year years yes yesterday yet you you'd you'll you're you've your yours yourself
"""
_CHINESE = """
我们 你们 他们 她们 它们 自己 这个 那个 这些 那些 什么 怎么 怎样 为什 因为 所以 但是 如果 可以 可能 一个 一些 一下 一点 没有 不是 就是 还是
或者 而且 然后 已经 非常 真的 觉得 知道 时候 现在 今天 昨天 明天 谢谢 你好 好的 当然 是的 不错 感觉 希望 需要 应该 一起 最近 有没 一直 这样
那样 的是 了一 我的 你的 我也 我在 我是 你可 的话 的时 是一 不过 一样 一种 很多 以及 对于 关于 起来 出来 的 了 是 我 你 他 她 它 在 和 也 就
都 很 吗 呢 吧 啊 哦 嗯 呀 这 那 有 不 没 要 会 能 去 来 说 看 给 对 把 被 让 从 到 跟 与 及 或 但 而 还 又 再 更 最 太 好
"""
_DUTCH = """
aan af al alle alleen allemaal alles als altijd ander andere anders ben bent beetje bij bijna blij daar daarom dag
dagen dan dank dankjewel dat de deed denk deze die dit doe doen doet door druk dus echt een eens eerst eigenlijk
elk elke en er erg ergens even ga gaan gaat geef geen gehad geweest ging gisteren goed graag had hadden haar heb
hebben hebt heeft heel heen heet hele hem hen het heten hou houdt werk werkt hier hij hoe hoeveel hoi hun iedereen
iemand iets ik in is ja jaar je jij jou jouw jullie kan kon kun kunnen kunt laat lang later leuk maak maar maken me
meer meest met mezelf mij mijn misschien moest moet moeten mooi morgen na naar nee net niemand niet niets nieuwe
nodig nog nogal nooit nou nu of oh om omdat ons onze ook op over paar prima samen soms steeds straks terug tijd
toch toen tot trouwens tussen tijdens uit uw u vaak van vandaag vanaf veel vertelde vertel verteld via vind vinden
vond voor vooral vorig vorige waar waarom wanneer want waren was wat we weer weet wel welk welke werd weten wie wij
wil wilde wou word worden wordt ze zeg zegt zei zeker zelf zich zij zijn woon woont zo zoals zou zouden zullen zult
"""
_PORTUGUESE = """
a acho agora ai ainda algo algum alguma alguem ali amanha antes ao aos apenas aquela aquele aqui as assim ate bem
boa bom cada coisa coisas com como contigo contei contou da daquele das de dela dele demais depois desde dessa
desse desta deste devo dia dias disse disso do dos e ela elas ele eles em enquanto entao entre era eram essa essas
esse esses esta estao estar estas estava este estes esteve estive estou eu fala falei fazer faz fez fica ficou fiz
foi fomos for foram fui gente hoje ha havia ia isso isto ja la lhe logo mais mas me mesma mesmo meu meus mim minha
minhas muita muitas muito muitos na nada nao nas nem nenhum nessa nesse nesta neste no nos nossa nosso nossas
nossos num numa nunca o obrigada obrigado oi ola onde ontem os ou outra outras outro outros para pela pelo pois por
porque pra preciso pro qual quais qualquer quando quanto quantos quantas que quem quero quer recomendou se sei sem
sempre ser sera seu seus si sim so sobre sou sua suas sugeriu talvez tambem tanto tao te tem tenho ter teu teus
teve tinha tive toda todas todo todos tu tua tudo um uma umas uns vai vamos ver vez vezes voce voces vou gosto
gosta adoro moro mora vive vivo trabalho trabalha comecei comprei chama chamo
"""
_VIETNAMESE = """
a ai anh ay ban bang bao bay bi biet cac cai cam can cach chac chang chao chi cho chu chua chung co con cua cung
cuoi cu da dang dau day de den di dieu do doi dong du duoc dung em gap ghe gi gio giua ha hay he hen het hien hoac
hoi hom hon hang khac khi khoang khong la lai lam lan lang len luc luon lon ma may minh moi mong mot muon nam nao
nay neu nen ngay nghe nghi ngoai nguoi nhe nhi nhieu nhu nhung no noi nua o oi on qua quen ra rang rat roi sao sap
sau se su ta tai tam thang thanh that thay the them theo thi thich thoi thu thuong tin toi trong truoc tu tuan tung
tuy u va vai van vang vao vay ve vi viec vua voi vui xem xin y
"""
_JAPANESE = """
私 僕 俺 君 彼 彼女 方 事 物 時 今 何 誰 人 中 前 後 上 下 間 所 日 年 月 本当 感じ 自分 今日 昨日 明日 最近 一緒
大丈夫 今度 一番 少し 結構 普段 毎日 先週 今週 来週 去年 今年 来年 先月 今月 来月 言 思 見 行 来 出 入 使 気 話 教
覚 知 一 二 三 的 頃 時間 場合 以前 今回 全部 全然 多分 可能 必要 大変 素敵 了解 感謝 是非 ありがとう こんにちは
これ それ あれ どれ ここ そこ あそこ どこ いつ だれ なに なん なぜ どう どんな この その あの どの でも また もう
まだ とても ちょっと すごく やっぱり たぶん もし わたし ぼく おれ あなた うち みんな ずっと いつも よく たまに はい
いいえ うん ええ だから それで そして じゃあ あと ほんと ほんとう いま きょう きのう あした ここで そう
"""

_TAILS = """
です ます まし した して てい いる いた いま ませ せん ない なか かっ った って から ので のは のが のに のを のも
との とは とか けど たら ても では には でも だっ だし だけ だと だよ だね だが んだ んで んな ある あり あっ しょ
ょう よう うに うな そう うだ れる られ れた れて せる こと もの ころ する すぎ さん くれ れま てく てき てた てる
てみ てし てお たい たく たの たん たり たこ なん なく なっ なる なり なら ねえ よね まだ もう また まで より など
ほど くら ぐら らい ちょ ょっ っと とて もも いう いっ いく いけ いて いな いの いん うち うん えっ えて えた おり
かな かも かと かし きた きて きま くて くな くる けて けた この その あの どの これ それ あれ どれ ここ そこ どこ
いつ だれ どう どん させ しい しか しく しま しば しゃ じゃ ゃん ずっ すご すね すか すが すけ すよ せて そし ただ
たぶ ため だい だか だん ちゃ っち つも とう とき とこ とっ どお なに なの にし にな にも のお のこ はい はお はな
はと はど ばい ひと びっ べき へん ほう ほん まあ まり みた みて みん めて めた もっ やっ やは よく らし らな りま
りが るの るか るこ るけ るよ ると れば ろう わけ わた んか んが んと んど んに んの んは んね んよ をし
"""

STOP_WORDS_OF: dict[str, frozenset[str]] = {
    "en": frozenset(_ENGLISH.split()),
    "nl": frozenset(_DUTCH.split()),
    "ja": frozenset(_JAPANESE.split()),
    "pt": frozenset(_PORTUGUESE.split()),
    "vi": frozenset(_VIETNAMESE.split()),
    "zh": frozenset(_CHINESE.split()),
}
"""By language, without marks: a Vietnamese syllable stands here for all its tones."""
STOP_WORDS: frozenset[str] = STOP_WORDS_OF["en"] | STOP_WORDS_OF["zh"]
"""Those of texts whose language is not known."""
JAPANESE_TAILS = frozenset(_TAILS.split())
"""Pairs of hiragana that endings and particles are made of: they would be in every text."""
