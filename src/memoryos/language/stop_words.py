"""Words that carry no topic of their own, folded, by language."""

from __future__ import annotations

__all__ = ["STOP_WORDS"]

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

STOP_WORDS: frozenset[str] = frozenset(_ENGLISH.split()) | frozenset(_CHINESE.split())
