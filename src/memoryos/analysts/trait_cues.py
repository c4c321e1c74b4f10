"""The words that show a trait, in a person's own statements. Keys are (category, dimension) of ``traits90.json``.

``INTERESTS`` are things: liking or doing them is high, disliking them low. ``CUES`` are whole turns of speech, high and low.
"""

from __future__ import annotations

__all__ = ["CUES", "INTERESTS"]

_I = "interests"
_B = "big five"
_N = "basic needs"
_P = "psychological needs (Murray)"
_A = "what is wanted of an assistant"

INTERESTS: dict[tuple[str, str], str] = {
    (_I, "science"): r"science|physics|chemistry|biology|astronomy|科学|物理|化学|生物",
    (_I, "knowledge"): r"learning new things|trivia|documentar\w+|encyclop\w+|学习新(?:知识|东西)|知识",
    (_I, "psychology"): r"psychology|心理学",
    (_I, "cinema"): r"movies?|films?|cinema|comedies|dramas?|电影|影片|喜剧片|动作片",
    (_I, "entertainment"): r"tv shows?|series|concerts?|variety shows?|演唱会|综艺|电视剧",
    (_I, "gaming"): r"(?:video|board|computer|mobile|online) games?|gaming|chess|tournaments?|游戏|象棋|围棋",
    (_I, "parenting"): r"parenting|(?:my|our) (?:kids|children|son|daughter)|育儿",
    (_I, "wild imagination"): r"fantasy|sci-?fi|science fiction|daydream\w*|科幻|奇幻",
    (_I, "anime"): r"anime|manga|cartoons?|动漫|漫画|动画",
    (
        _I,
        "sports",
    ): r"sports?|football|soccer|basketball|tennis|badminton|baseball|swimming|surfing|skiing|climbing|volleyball|racing|运动|篮球|足球|羽毛球|游泳|网球",
    (_I, "law"): r"law|legal|法律",
    (_I, "workplace"): r"my (?:job|career|work)|我的工作|职场",
    (_I, "pets"): r"dogs?|cats?|pupp(?:y|ies)|kittens?|pets?|turtles?|hamsters?|parrots?|小狗|狗|猫|宠物",
    (_I, "travel"): r"travel\w*|trips?|road ?trips?|backpacking|sightseeing|旅游|旅行",
    (_I, "health"): r"health\w*|nutrition|meditat\w+|wellness|健康|养生|冥想",
    (_I, "stories"): r"stories|storytelling|fairy tales|故事",
    (_I, "cars"): r"cars?|motorbikes?|motorcycles?|汽车|赛车",
    (_I, "gourmet food"): r"cooking|baking|cuisines?|gourmet|restaurants?|recipes?|foodie|美食|烹饪|做菜|菜系",
    (_I, "education"): r"teaching|education|tutoring|教育|教学",
    (_I, "current events"): r"news|current events|politics|新闻|时事",
    (_I, "home decor"): r"interior design|home decor\w*|decorating|furniture|家居|装修",
    (_I, "international affairs"): r"international (?:affairs|relations|politics)|geopolitics|国际",
    (_I, "finance"): r"finance|investing|stocks?|the stock market|crypto\w*|理财|股票|投资|金融",
    (_I, "campus life"): r"campus|college life|my dorm|校园",
    (_I, "digital technology"): r"technology|gadgets?|programming|coding|computers?|smartphones?|数码|科技|编程",
    (_I, "emotions"): r"talking about (?:my )?feelings|emotional (?:stories|films|books)|情感",
    (_I, "humor"): r"jokes?|stand-?up|comedy|comedies|humou?r|幽默|笑话|喜剧",
    (_I, "music"): r"music|songs?|singing|guitar|piano|violin|clarinet|drums|concerts?|音乐|唱歌|吉他|钢琴|歌",
    (_I, "reading"): r"reading|books?|novels?|poetry|读书|阅读|看书|小说",
    (_I, "painting"): r"painting|watercolou?rs?|drawing|sketching|绘画|画画|素描",
    (_I, "dance"): r"danc\w+|ballet|跳舞|舞蹈",
    (_I, "crafts"): r"pottery|knitting|sewing|crafts?|woodwork\w*|origami|手工|陶艺|编织",
    (_I, "photography"): r"photograph\w*|taking (?:photos|pictures)|摄影|拍照",
    (_I, "culture"): r"museums?|history|cultures?|traditions?|博物馆|历史|文化",
    (_I, "fitness"): r"gym|working out|workouts?|yoga|running|fitness|weights|jogging|健身|跑步|瑜伽",
    (_I, "art"): r"art|sculptures?|galler(?:y|ies)|艺术|画展",
    (_I, "stationery and planners"): r"stationery|planners?|journals?|journaling|文具|手账",
    (_I, "celebrities"): r"celebrit\w+|my idol|明星|偶像",
    (_I, "outdoors"): r"hiking|nature|outdoors?|gardening|fishing|the mountains|徒步|户外|爬山|大自然",
    (_I, "camping"): r"camping|露营",
    (_I, "social sciences"): r"sociology|anthropology|social science|社会学",
    (_I, "weddings"): r"weddings?|婚礼",
    (_I, "fashion"): r"fashion|clothes|clothing|outfits?|sneakers?|时尚|穿搭|衣服",
    (
        _N,
        "food",
    ): r"pizza|sushi|chocolate|coffee|tea|ice cream|spicy food|seafood|noodles|curry|vegetables|meat|dairy|coconut\w*|火锅|川菜|海鲜|甜食|咖啡|茶",
    (
        _N,
        "living environment",
    ): r"living (?:in|by|near|alone|downtown)|the city life|the countryside|my (?:neighbou?rhood|apartment|flat)|住在",
    (_N, "sleep"): r"sleeping(?: in)?|naps?|napping|睡觉|午睡",
    (_N, "area of knowledge"): r"math\w*|history|philosophy|literature|economics|geography|数学|历史|哲学|文学|经济学",
    (_N, "learning style"): r"learning by doing|hands-on|studying (?:alone|in groups?)|online courses|自学",
    (_N, "creative expression"): r"writing|painting|drawing|composing|pottery|choreograph\w*|写作|绘画|创作",
}

CUES: dict[tuple[str, str], tuple[str, str]] = {
    (_B, "neuroticism"): (
        r"\bi(?:'m| am| feel| get| was|'ve been)(?: \w+){0,2} (?:stressed|anxious|nervous|worried|overwhelmed|depressed|upset|panick\w+)|我(?:很|非常|有点|特别)?(?:焦虑|紧张|担心|压力|郁闷|沮丧)",
        r"\bi(?:'m| am)(?: \w+){0,2} (?:calm|relaxed|easygoing|laid-back)\b|我(?:很|一向)?(?:冷静|放松)",
    ),
    (_B, "extraversion"): (
        r"\bi (?:love|enjoy|like) (?:meeting (?:new )?people|parties|hanging out|socializing|being around people)|\bi(?:'m| am) (?:an extrovert|outgoing)|我(?:很)?外向|我喜欢(?:交朋友|聚会)",
        r"\bi(?:'m| am)(?: \w+){0,2} (?:shy|an introvert|introverted|quiet)\b|\bi (?:prefer|like|enjoy) (?:being alone|staying home)|我(?:很|比较)?(?:内向|害羞)",
    ),
    (_B, "openness"): (
        r"\bi (?:love|enjoy|like)(?: \w+){0,2} (?:trying new|exploring|discovering|experimenting|new experiences|learning)|我喜欢(?:尝试|探索)",
        r"\bi (?:prefer|like) (?:sticking to|routine|what i know)|\bi don't like (?:change|trying new)",
    ),
    (_B, "agreeableness"): (
        r"\bi (?:love|enjoy|like) (?:helping|caring|volunteering|supporting)|\bi volunteer(?:ed)?\b|我喜欢帮助|我(?:做|参加)了?志愿",
        r"\bi (?:don't care (?:about|what) (?:others|other people)|can't stand people)",
    ),
    (_B, "conscientiousness"): (
        r"\bi(?:'m| am)(?: \w+){0,2} (?:organized|disciplined|determined|hard-?working|punctual)|\bi (?:work hard|plan everything|make lists|never miss)|我(?:很)?(?:自律|努力)",
        r"\bi(?:'m| am)(?: \w+){0,2} (?:lazy|disorganized|messy)|\bi (?:always )?procrastinate|我(?:很)?(?:懒|拖延)",
    ),
    (_N, "investment"): (
        r"\bi (?:invest(?:ed)? in (?:stocks|crypto|startups)|like risky investments)|我(?:投资|买)了?股票",
        r"\bi (?:prefer|like) (?:safe|low-risk) investments",
    ),
    (_N, "saving"): (
        r"\bi(?:'m| am|'ve been)? ?(?:saving|save|saved)(?: \w+){0,3} (?:money|for|up)\b|我(?:在)?存钱|我攒",
        r"\bi (?:can't save|spend too much|overspent)|我(?:是)?月光",
    ),
    (_N, "physical safety"): (
        r"\bi(?:'m| am)(?: \w+){0,2} (?:afraid|scared) of (?:accidents|heights|falling|flying|injur\w+)|\bi always wear (?:a helmet|my seat ?belt)|我(?:怕|害怕)(?:受伤|意外|高)",
        r"\bi (?:love|enjoy) (?:extreme sports|skydiving|bungee)|我喜欢极限运动",
    ),
    (_N, "environmental safety"): (
        r"\bi(?:'m| am| care)(?: \w+){0,3} (?:about the (?:environment|climate|planet)|about climate change)|\bi (?:recycle|avoid plastic)|我(?:关心|注重)环保",
        r"\bi don't care about the (?:environment|climate)",
    ),
    (_N, "depth of interaction"): (
        r"\bi (?:like|love|enjoy|prefer) (?:small talk|casual chats?|light conversation)|我喜欢闲聊",
        r"\bi (?:like|love|enjoy|prefer) (?:deep|meaningful) (?:conversations?|talks?)|我喜欢深入",
    ),
    (_N, "handling conflict"): (
        r"\bi(?:'m| am) (?:direct|straightforward|honest) (?:when|about)|\bi (?:confront|speak my mind)",
        r"\bi (?:avoid|hate|dislike) (?:conflict|arguments|confrontation)s?|我(?:不喜欢|避免)争吵",
    ),
    (_N, "communication style"): (
        r"\bi (?:prefer|like|want) (?:short|brief|concise) (?:answers|replies|messages)|我喜欢简短",
        r"\bi (?:prefer|like|want) (?:detailed|long|thorough) (?:answers|explanations|replies)|我喜欢详细",
    ),
    (_N, "work environment"): (
        r"\bi (?:need|prefer|like) (?:a quiet (?:place|office)|working (?:from home|remotely|alone|in a team))|我喜欢(?:在家办公|安静的)",
        r"\bi can work anywhere",
    ),
    (_N, "recognition"): (
        r"\bi(?:'m| am| was| felt)(?: \w+){0,2} (?:proud|recognized|honou?red)|\bi won\b|我(?:很)?(?:自豪|骄傲)|我(?:获|得)了?奖",
        r"\bi don't (?:need|care about) (?:praise|recognition)",
    ),
    (_N, "personal achievement"): (
        r"\bmy (?:dream|goal) is\b|\bi (?:achieved|accomplished|completed|won|finished) (?:my|a|an|the)\b|我的(?:梦想|目标)|我(?:完成|实现)了",
        r"\bi don't (?:have|need) (?:goals|ambitions?)",
    ),
    (_P, "order"): (
        r"\bi (?:like|love|need|keep)(?: \w+){0,3} (?:tidy|organized|neat|clean|in order)|我喜欢整洁",
        r"\bi don't mind (?:mess|chaos)",
    ),
    (_P, "retention"): (
        r"\bi (?:keep|kept|collect)(?: \w+){0,3} (?:old|souvenirs|memorabilia|letters|coins|stamps)|我(?:收藏|收集)",
        r"\bi (?:throw|give) (?:everything|things) away",
    ),
    (_P, "inviolacy"): (
        r"\bmy (?:dignity|reputation|self-respect)\b|我的尊严",
        r"\bi don't care what (?:people|others) think",
    ),
    (_P, "infavoidance"): (
        r"\bi(?:'m| am)(?: \w+){0,2} (?:afraid|scared) (?:of|to) (?:fail\w*|being judged|embarrass\w+|making mistakes)|我(?:害怕|怕)失败",
        r"\bi(?:'m| am) not afraid (?:of|to) fail",
    ),
    (_P, "counteraction"): (
        r"\bi (?:won't|will not|didn't|never) give up|\bi (?:overcame|kept trying|bounced back)|我(?:不会|没有)放弃|我克服",
        r"\bi gave up\b|我放弃了",
    ),
    (_P, "seclusion"): (
        r"\bi (?:need|like|love|enjoy|prefer) (?:time alone|my alone time|being alone|solitude)|我喜欢(?:独处|一个人)",
        r"\bi (?:hate|can't stand) being alone",
    ),
    (_P, "dominance"): (
        r"\bi (?:lead|led|run|manage|coach|organized) (?:a|the|my|our)\b|\bi(?:'m| am) the (?:captain|leader|boss|manager)|我(?:领导|带领|管理)",
        r"\bi(?:'d rather| prefer to) follow",
    ),
    (_P, "deference"): (
        r"\bi (?:respect|follow|obey|look up to)(?: \w+){0,2} (?:rules?|my (?:boss|mentor|coach|parents|teachers?))|我(?:尊重|听)(?:父母|老师|领导)",
        r"\bi (?:break|hate) (?:the )?rules",
    ),
    (_P, "autonomy"): (
        r"\bi (?:like|love|need|value|want)(?: \w+){0,3} (?:independence|my freedom|to be independent|my own boss)|\bi(?:'m| am) (?:self-employed|a freelancer|independent)|我(?:想|喜欢)独立",
        r"\bi (?:need|like) being told what to do",
    ),
    (_P, "contrariance"): (
        r"\bi (?:like|love|want) (?:being different|to be different|standing out)|我喜欢与众不同",
        r"\bi (?:like|want) to fit in",
    ),
    (_P, "abasement"): (
        r"\bit(?:'s| was) (?:all )?my fault|\bi blame myself|(?:是|都是|都怪)我的?错",
        r"\bit(?:'s| was)n't my fault",
    ),
    (_P, "aggression"): (
        r"\bi (?:got into a fight|yelled at|shouted at|want revenge)|我(?:吵了一架|骂了)",
        r"\bi (?:never|don't) (?:fight|yell|argue)",
    ),
    (_P, "affiliation"): (
        r"\bi (?:love|enjoy|like|value)(?: \w+){0,3} (?:time with|hanging out with|being with)(?: my)? (?:family|friends|kids|husband|wife)|\bmy friends? (?:mean|are)\b|我(?:和|跟)(?:朋友|家人)",
        r"\bi don't need friends",
    ),
    (_P, "rejection"): (
        r"\bi (?:blocked|cut off|stopped talking to|keep away from)|我(?:拉黑|远离)",
        r"\bi get along with everyone",
    ),
    (_P, "nurturance"): (
        r"\bi (?:take|took) care of|\bi(?:'m| am) (?:raising|caring for|fostering)|\bi (?:adopted|fostered|rescued)\b|我照顾",
        r"\bi don't want (?:kids|children|pets)",
    ),
    (_P, "succorance"): (
        r"\bi (?:need|could use|asked for|appreciate)(?: \w+){0,2} (?:help|support|advice|a hug)|我(?:需要|想要)(?:帮助|支持|安慰)",
        r"\bi don't need (?:any )?help",
    ),
    (_P, "play"): (
        r"\bi (?:love|like|enjoy) (?:having fun|playing|goofing|laughing|game nights?)|\bwe had (?:so much|a lot of|tons of) fun|我喜欢(?:玩|搞笑)",
        r"\bi don't have time for fun",
    ),
    (_A, "harmlessness"): (
        r"\b(?:please )?(?:don't|do not) (?:say|write|give me) anything (?:harmful|dangerous|offensive)",
        r"\bi don't mind (?:offensive|dark) (?:jokes|content)",
    ),
    (_A, "instruction-following"): (
        r"\b(?:please )?(?:do exactly (?:what|as)|follow my instructions|just do what i)",
        r"\byou don't have to follow",
    ),
    (_A, "honesty"): (
        r"\b(?:please )?be honest with me|\btell me (?:the truth|honestly)|(?:请)?(?:对我)?说实话",
        r"\byou can lie",
    ),
    (_A, "truthfulness"): (
        r"\bi (?:want|need|care about) (?:facts|sources|accurate|the facts)|\bplease (?:cite|give) (?:your )?sources",
        r"\bfacts don't matter",
    ),
    (_A, "helpfulness"): (
        r"\bi (?:want|need) (?:practical|useful|actionable) (?:advice|answers|help)",
        r"\bi don't need (?:your )?advice",
    ),
    (_A, "coherence"): (
        r"\bplease (?:stay on topic|keep it structured|be clear)|\bi like (?:clear|structured) answers",
        r"\bi don't mind rambling",
    ),
    (_A, "complexity"): (
        r"\bi (?:like|want|prefer) (?:in-depth|complex|technical|detailed) (?:answers|explanations)",
        r"\b(?:explain|keep) it simpl[ey]\b|\bi (?:like|want|prefer) simple (?:answers|explanations)",
    ),
}
