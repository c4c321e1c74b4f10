"""The words of interests in Dutch, Portuguese, Vietnamese and Japanese, beside those of ``trait_cues``."""

from __future__ import annotations

__all__ = ["DISLIKES", "DOES", "INTEREST_WORDS", "LIKES", "TO_THE_OTHER"]

INTEREST_WORDS: dict[str, str] = {
    "cinema": "films?|bioscoop|filmes?|cinema|phim|xem phim|rạp phim|映画",
    "gaming": "gamen|bordspellen|schaken|videogames?|jogos? de tabuleiro|xadrez|chơi game|cờ vua|cờ tướng|ゲーム|将棋|囲碁",
    "anime": "strips|mangá|truyện tranh|hoạt hình|アニメ|漫画",
    "sports": "sporten|voetbal\\w*|tennissen|zwemmen|hockey|futebol|vôlei|natação|tênis|bóng đá|bơi|cầu lông|bóng rổ|スポーツ|サッカー|野球|テニス|水泳|バスケ",
    "pets": "honden|hond|katten|kat|huisdieren|cachorr\\w+|gat[oa]s?|con mèo|mèo|con chó|chó|thú cưng|犬|猫|ペット",
    "travel": "reizen|vakanties?|viajar|viagens|viagem|du lịch|phượt|旅行",
    "cars": "auto's|motorrijden|carros|motos?|xe hơi|mô tô|車|バイク",
    "gourmet food": "koken|bakken|recepten|cozinhar|culinária|receitas|nấu ăn|nấu nướng|làm bánh|料理|お菓子作り",
    "music": "muziek|zingen|gitaar|piano|viool|música|cantar|violão|samba|âm nhạc|ca hát|đàn guitar|nghe nhạc|hát|音楽|歌|ピアノ|ギター|バイオリン",
    "reading": "lezen|boeken|romans|ler|livros?|leitura|đọc sách|sách|tiểu thuyết|読書|本を読|小説",
    "painting": "schilderen|tekenen|pintar|pintura|desenhar|vẽ tranh|vẽ|絵を描|水彩",
    "dance": "dansen|dançar|dança|forró|nhảy|múa|ダンス|踊",
    "crafts": "breien|naaien|haken|pottenbakken|tricô|crochê|costura\\w*|artesanato|cerâmica|đan len|thêu|làm gốm|編み物|陶芸|手芸",
    "photography": "fotograferen|fotografie|fotografia|fotografar|chụp ảnh|nhiếp ảnh|写真",
    "fitness": "hardlopen|sportschool|fitnessen|yoga|academia|corrida|ioga|correr|chạy bộ|tập gym|yoga|ジム|筋トレ|ヨガ|ランニング|ジョギング",
    "outdoors": "wandelen|natuur|tuinieren|vissen|trilhas?|caminhar|natureza|jardinagem|pesca\\w*|leo núi|câu cá|làm vườn|thiên nhiên|登山|山登り|ハイキング|釣り|ガーデニング|自然",
    "camping": "kamperen|acampar|acampamento|cắm trại|キャンプ",
    "fashion": "mode|kleding|moda|roupas|thời trang|ファッション|洋服",
    "culture": "musea|geschiedenis|museus|história|bảo tàng|lịch sử|美術館|博物館|歴史",
}
LIKES = (
    r"\bik (?:hou|houd) (?:\w+ )?van|\bik ben (?:dol|gek) op|\bmijn (?:hobby|lieveling\w+|favoriete)|\b(?:gosto|adoro|amo|curto)\b|\bsou (?:fã|apaixonad[oa])|\bmeu (?:hobby|passatempo)|"
    r"\b(?:tôi|mình|em) (?:rất |cũng )?(?:thích|mê|yêu)\b|\bsở thích|(?:大?好き|趣味|はまって|ハマって)"
)
DISLIKES = r"\bik (?:hou|houd) niet van|\bik (?:haat|verafschuw)|\b(?:não gosto|nao gosto|detesto|odeio)\b|\b(?:tôi|mình|em) (?:không thích|ghét)\b|(?:嫌い|苦手|好きじゃな|好きではな)"
DOES = (
    r"\bik (?:speel|lees|kook|bak|teken|schilder|zing|dans|fiets|wandel|zwem|sport|bezoek|heb|ging|ben)\b|\b(?:jogo|toco|leio|cozinho|pinto|danço|nado|corro|pratico|fui|fiz|comprei|assisti)\b|"
    r"\b(?:tôi|mình|em) (?:hay |thường |đang |mới |đã )*(?:chơi|tập|đọc|nấu|vẽ|hát|xem|đi|học|nuôi|trồng)\b|(?:習って|練習して|読んで|作って|描いて|通って|行って|行きました|飼って|弾いて)"
)
TO_THE_OTHER = r"\b(?:jij|jou|jouw|jullie|você|vocês|bạn)\b|あなた|君"
