"""Chinese statements: a sentence about oneself becomes a note by dropping 我; days become dates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.analysts.notes import Note, dated_note
from memoryos.language.date_phrases import format_mention
from memoryos.language.dates import mentions
from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["rephrase_chinese"]

_LEAD = Bounded(
    r"^(?:嗨|你好啊?|您好|哈喽|是的|对的?|嗯|好的|当然|其实|不过|而且|但是|另外|还有)[，,！!。\s]*(?:AI伴侣|ai伴侣|朋友)?[，,！!。\s]*"
)
_MIN_CHARACTERS, _MAX_CHARACTERS = 4, 60
_SKIPPED = Bounded(
    r"[?？]|你|您|谢谢|感谢|吗|呢|什么|怎么|如果|可能|也许|大概|应该|希望能?|想知道|觉得|认为|明白|知道了|同意|相信|记得|看来|好的|"
    r"这[个些样]?(?!周|个月|星期|天|几天|学期)|那[个些样]|它|一定会|会去看|会试|试试|试一试|考虑"
)
_CUES = (
    "最?喜欢", "不喜欢", "爱", "热爱", "讨厌", "住在", "搬到", "来自", "养了?", "有(?=[一两三四五六七八九十])", "去了?", "去过", "看了", "看过", "读了", "读过",
    "学了?", "学习", "学会", "正在", "在学", "在读", "在看", "在练", "买了?", "做了?", "参加了?", "打算", "计划", "准备", "想学", "对.{1,10}(?:过敏|感兴趣)",
    "擅长", "不擅长", "不吃", "不喝", "经常", "常常", "平时", "每天", "每周", "开始", "加入了?", "参观了?", "尝试了?", "认识了", "遇到了?", "收到了", "完成了", "是(?!的)",
    "生日", "跑了?", "练习", "弹", "画了?", "拍了?", "吃了?", "喝了?", "见了?", "听了?", "和.{1,8}(?:一起)?(?:去|看|吃|参加|聊)",
)  # fmt: skip
_FILLERS = "(?:也|还|都|又|就|很|非常|特别|真的|比较|一直|最近|刚|已经|今天|昨天|前天|上周|现在|目前|平时|有时候?|周末|今晚|昨晚|今早|，|,|\\s){0,10}"
_STATEMENT = Bounded(rf"^(?P<when>[^我，,]{{0,12}}?[，,]?)我(?:们)?(?P<body>{_FILLERS}(?:{'|'.join(_CUES)}).+)$")


def rephrase_chinese(sentence: str, at: datetime) -> Note | None:
    """Returns the note of a sentence about oneself, None where it says nothing durable."""
    text = _LEAD.sub("", sentence).strip(" 。！!，,.")
    if not _MIN_CHARACTERS <= len(text) <= _MAX_CHARACTERS or _SKIPPED.search(text):
        return None
    match = _STATEMENT.match(text)
    if match is None:
        return None
    when = match["when"].strip("，, ")
    body = f"{when}{match['body']}" if mentions(when, at) else match["body"]
    note = dated_note(
        re.sub(r"^[，,\s]+", "", re.sub(r"我们?的", "自己的", body)), at, lambda mention: format_mention(mention, "zh")
    )
    return Note(note.text.replace("我", "自己"), note.since)
