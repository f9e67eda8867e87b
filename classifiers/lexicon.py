"""Words that name a field or a kind of work, in many languages: what rows alone teach only for their own sources.

A word ending in "-" is the beginning that `features` makes of longer words (five letters of Latin and Cyrillic, two or
four signs of Hangul, Arabic and Devanagari). Unspaced scripts stand with pieces of one to three signs.
"""

from typing import Final

_WORDS: Final[dict[str, str]] = {
    "code": (
        "python java javascript typescript cpp rust golang sql mysql postgresql postgres sqlite mongodb redis"
        " html css react vue angular node nodejs express django flask fastapi spring api apis rest graphql"
        " json yaml regex bash shell powershell function functions code coding codebase program programs"
        " programming programmer algorithm algorithms array arrays loop recursion recursive compile compiler"
        " debug debugging exception traceback npm pip docker kubernetes k8s git github gitlab repo repository"
        " endpoint backend frontend database query queries dataframe pandas numpy pytorch tensorflow unity"
        " godot android ios swift swiftui kotlin php laravel ruby rails perl matlab vba terraform ansible aws"
        " linux ubuntu nginx unittest pytest junit refactor middleware struct enum boolean pointer async await"
        " multithreading mutex webpack selenium playwright def elif printf println cout cin iostream stdin"
        " stdout const leetcode codeforces testcases 代码 代碼 函数 函數 编程 编写 程序 脚本 算法 数组 接口"
        " 数据库 コード 関数 プログラ スクリプ アルゴリ 配列 코드- 함수- 프로그램- 스크- 알고- функц- код кода"
        " скрипт програ- алгор- массив código función algoritmo programación fonction algorithme programme"
        " funktion algorithmus skript programm função كود دالة دالة- برنامج شيفرة कोड फ़ंक्शन प्रोग्राम hàm"
        " fonksiyon funkcję"
    ),
    "writing": (
        "poem poems poetry story stories storytelling essay essays letter email emails song songs lyrics"
        " lyric novel novels haiku sonnet limerick blog speech slogan slogans caption captions tagline"
        " dialogue dialog monologue roleplay fanfic fanfiction fiction screenplay biography memo newsletter"
        " tweet tweets rhyme rhymes rhyming verse joke jokes pun anime character characters scene scenes plot"
        " chapter narrative copywriter storyline villain protagonist ode parody rap romance invitation 诗 詩"
        " 小说 故事 作文 文案 歌词 剧本 散文 小説 物語 歌詞 手紙 俳句 セリフ 台詞 소설- 이야- 편지- 가사- стих"
        " стихи стихо- расск- песню песня сказк- эссе роман басню сцена- диалог сочини сочин- придум- poema"
        " cuento historia carta canción ensayo relato guion poème lettre chanson conte récit gedicht"
        " geschichte brief lied aufsatz conto história canção redação poesia racconto قصة قصيدة رسالة مقال"
        " कविता कहानी पत्र निबंध thơ truyện şiir hikaye wiersz opowi- příběh"
    ),
    "math": (
        "prove proof theorem lemma integral integrals derivative derivatives equation equations matrix"
        " matrices eigenvalue eigenvalues probability polynomial polynomials triangle angle perimeter integer"
        " integers prime primes modulo calculus algebra geometry trigonometry solve calculate compute frac"
        " sqrt cdot sum divisor divisible factorial vector vectors variance hypotenuse circle radius diameter"
        " percent percentage fraction fractions square root roots digit digits 证明 證明 方程 积分 概率 导数"
        " 矩阵 三角 求 証明 方程式 積分 確率 微分 行列 증명- 방정- 확률- докажи докаж- уравн- интег- вероя-"
        " произв- ecuación integral demue- probabilidad équation démon- probabilité gleichung beweise wahrs-"
        " equação معادلة أثبت احتمال समीकरण सिद्ध"
    ),
    "translation": (
        "translate translation translating translated translator traduce traducir traducción traduis traduire"
        " traduction traduza traduzir tradução übersetze übersetzen übersetzung переведи переве- перевод 翻译"
        " 翻譯 译成 訳 翻訳 번역- ترجم ترجمة अनुवाद dịch tłumacz przet- çevir"
    ),
    "summary": (
        "summarize summarise summary summarizing tldr recap resume resumen resume- résume résumé résumez"
        " zusammenfassung zusam- fasse суммар- кратко кратк- 总结 概括 摘要 归纳 要約 まとめ 요약- لخص تلخيص"
        " सारांश tóm özetle"
    ),
    "extraction": (
        "extract extracting classify categorize categorise label entities sentiment csv keywords parse"
        " identify tabulate fields 提取 分类 抽取 识别 抽出 分類 추출- 분류- извлеки извле- классиф- extrae"
        " extraer clasifica extrais classifie extrahiere klassi- extraia classifique استخرج صنف वर्गीकृत"
    ),
    "medicine": (
        "patient patients symptom symptoms diagnosis disease diseases treatment dose dosage drug drugs"
        " clinical medical medicine doctor surgery cancer tumor blood infection therapy vaccine nurse nursing"
        " hospital mg chronic acute syndrome artery 患者 症状 疾病 治疗 诊断 病 医 환자- 증상- пацие- симпт-"
        " болез- диагн- paciente síntomas enfermedad maladie patiente krankheit مريض مرض रोगी रोग"
    ),
    "law": (
        "law laws legal court courts contract contracts plaintiff defendant statute liability attorney lawyer"
        " lawsuit clause jurisdiction tort negligence constitutional amendment felony copyright gdpr 法律 合同"
        " 法院 条款 契約 裁判 법률- 계약- закон закона догов- суд ley contrato tribunal loi contrat gesetz"
        " vertrag قانون عقد कानून"
    ),
    "debugging": (
        "bug bugs error errors fix fails failing failed failure crash crashes crashing debug debugging"
        " traceback exception undefined null segfault broken intermittent troubleshoot troubleshooting wrong"
        " issue problem 报错 错误 崩溃 修复 调试 エラー バグ 修正 오류- 버그- ошибка ошибк- исправ- error"
        " falla depura bogue erreur corrige fehler behebe erro corrija خطأ أصلح त्रुटि"
    ),
    "review": (
        "review reviewing audit critique feedback improve improvements evaluate assess inspect 审查 审核 检查"
        " 评审 レビュー 査読 검토- 리뷰- проверь прове- ревью revisa revisar vérifie relis überprüfe prüfe"
        " revise راجع समीक्षा"
    ),
    "explaining": (
        "explain explains describe what why how difference differences compare comparison versus vs meaning"
        " define definition overview pros cons advantages 解释 解釋 说明 什么 为什么 区别 比较 説明 違い とは"
        " なぜ 比較 설명- 차이- 비교- объясни объяс- сравни разни- почему что explica explique expli-"
        " diferencia compara pourquoi différence compare erkläre vergleiche unterschied warum diferença اشرح"
        " قارن لماذا الفرق ما समझाइए समझाएं अंतर तुलना"
    ),
    "making": (
        "write create generate build implement design develop make draft compose craft produce invent"
        " brainstorm 写 编写 创建 生成 设计 实现 制作 書いて 作成 作って 生成 設計 실장- 작성- 만들- 설계-"
        " 구현- напиши напиш- создай созда- сделай разра- спроект- escribe crea diseña genera écris crée"
        " rédige conçois schreibe erstelle entwirf escreva crie desenhe اكتب أنشئ صمم लिखें लिखो बनाएं"
    ),
}


def _fields_by_word() -> dict[str, tuple[str, ...]]:
    """Each word with the fields it stands for, in the order of the table."""
    fields: dict[str, tuple[str, ...]] = {}
    for field, words in _WORDS.items():
        for word in dict.fromkeys(words.split()):
            fields[word] = (*fields.get(word, ()), field)
    return fields


LEXICON: Final = _fields_by_word()
KNOWN: Final = frozenset(LEXICON)
