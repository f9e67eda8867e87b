r"""Rules for languages other than English: the forms of `rules_table` as Spanish, German, Arabic, ... ask for them.

One row per form, one line per language. RE2's `\\b` and `\\W` know ASCII only, so words end at a
space or `_END`. Languages without spaces are bounded in signs.
"""

from typing import Final

from classifiers.rules_words import HARD
from classifiers.types import Rule

# What may follow the last word of a short ask.
_END: Final = r"[\s.,!?:;…。，！？：；؟।]*$"
_TOOL: Final = r"\b(?:linter|hook|parser|generator|bot|tool)\b"

ABROAD: Final[tuple[Rule, ...]] = (
    Rule(
        "commit-message-other",
        r"^(?:escrib|gener|redact|sugi|cre|dame)\S* (?:un |el )?(?:breve )?mensaje de (?:commit"
        r"|confirmación)"
        r"|^(?:escrev|ger|sug|cri|redij)\S* (?:uma |a )?(?:breve )?mensagem de commit"
        r"|^(?:écri|rédige|génère|générez|propose|donne)\S* (?:un |le )?(?:court )?message de commit"
        r"|^(?:schreib|erstell|generier|formulier)\S* (?:mir )?(?:eine "
        r"|die )?(?:kurze )?commit[- ]?(?:nachricht|message|meldung)"
        r"|^(?:напиш|сгенерир|состав|придум|созда)\S* (?:мне )?(?:коротк\S+ )?(?:сообщение"
        r"|описание|текст) (?:для )?коммит"
        r"|^(?:اكتب|أنشئ|اقترح) (?:لي )?رسالة (?:commit|كوميت|إيداع|الإيداع|التزام)"
        r"|(?:commit message|commit मैसेज|commit संदेश|कमिट (?:मैसेज|संदेश)) (?:लिख|बना|सुझा|दो|दीजिए)"
        r"|(?:写|生成|起草|拟).{0,8}(?:提交(?:信息|说明|消息|日志)|commit ?(?:信息|消息|message))",
        "simple",
        "generation",
        "code",
        examples=(
            "Escribe un mensaje de commit para este cambio",
            "Escreva uma mensagem de commit para esta mudança",
            "Écris un message de commit pour ce changement",
            "Schreibe eine Commit-Nachricht für diese Änderung",
            "Напиши сообщение коммита для этого изменения",
            "اكتب رسالة commit لهذا التغيير",
            "इस बदलाव के लिए commit message लिखो",
            "为这个改动写一条提交消息",
        ),
        why="a summary of a diff in one line",
        unless=_TOOL,
        most_chars=200,
    ),
    Rule(
        "comments-other",
        r"^(?:añad|agreg|escrib|pon)\S* (?:unos |algunos )?(?:comentarios|docstrings?) (?:a|al|en|para) "
        r"|^(?:adicion|escrev|coloqu|acrescent)\S* (?:alguns )?(?:comentários|docstrings?) (?:a|à"
        r"|ao|em|na|no|para|n?est[ae]) "
        r"|^(?:ajoute|écri|met)\S* (?:des |quelques )?(?:commentaires|docstrings?) (?:à|aux?|dans|pour|sur) "
        r"|^(?:füg|ergänz)\S* .{0,40}(?:kommentare?|docstrings?)(?: hinzu| ein)?[\s.!?:。！？؟।]*$"
        r"|^kommentier\S* (?:diese\S?|den|die|das|meine\S?) (?:code|funktion|methode|klasse"
        r"|datei)[\s.!?:。！？؟।]*$"
        r"|^(?:добав|напиш|встав)\S* (?:кратки\S+ )?(?:комментари\S+|докстринг\S*) (?:к|в|для) "
        r"|^(?:请|帮我)?(?:给|为|在).{1,14}(?:加上|添加|写上|加|写|补充)(?:一些|几行|必要的|中文|英文)?(?:注释|文档字符串)[\s.!?:。！？؟।]*$"
        r"|(?:に|へ)(?:簡単な|短い|日本語の)?(?:コメント|docstring|ドキュメント文字列)を(?:追加|書|付け|つけ|入れ)"
        r"|에 (?:간단한 )?(?:주석|독스트링|docstring)을? ?(?:추가|달아|작성|넣어)"
        r"|^(?:أضف|اكتب) (?:تعليقات|تعليقا|توثيقا)\S* (?:إلى|على|في|ل)"
        r"|(?:में|पर|के लिए) (?:टिप्पणि\S+|कमेंट\S*|docstring) (?:जोड़|लिख|डाल)",
        "simple",
        "generation",
        "code",
        examples=(
            "Añade comentarios a esta función",
            "Adicione comentários a esta função",
            "Ajoute des commentaires à cette fonction",
            "Füge dieser Funktion Kommentare hinzu",
            "Добавь комментарии к этой функции",
            "给这个函数加上注释",
            "この関数にコメントを追加して",
            "이 함수에 주석을 추가해 줘",
            "أضف تعليقات إلى هذه الدالة",
            "इस फ़ंक्शन में टिप्पणियाँ जोड़ो",
        ),
        why="describes code that is there",
        most_chars=120,
    ),
    Rule(
        "small-repair-other",
        r"^(?:corrige|corregir|corrija|arregla) (?:la |los |las |el )?(?:ortograf|gramátic"
        r"|puntuación|erratas|faltas"
        r"|errores (?:ortográficos|gramaticales|de ortografía))"
        r"|^(?:corrija|corrige|corrigir) (?:a |os |as |o )?(?:ortografia|gramática|pontuação"
        r"|erros (?:ortográficos|gramaticais|de (?:ortografia|português|gramática|digitação)))"
        r"|^corrige[rz]? (?:l['’]|les |la )?(?:orthographe|grammaire|fautes|ponctuation|coquilles)"
        r"|^(?:korrigier|verbesser|berichtig)\S* (?:die |alle )?(?:rechtschreib|grammatik"
        r"|tippfehler|zeichensetzung)"
        r"|^(?:исправ|поправ)\S* (?:все )?(?:опечатк|орфограф|граммати|пунктуаци)"
        r"|^(?:请|帮我)?(?:修正|改正|纠正|修改|更正).{0,10}(?:错别字|拼写|语法|标点)"
        r"|(?:誤字|脱字|誤字脱字|スペル|文法|綴り)(?:の誤り|ミス)?を(?:直|修正|訂正)"
        r"|(?:맞춤법|오타|문법|철자)(?:을|를)? ?(?:고쳐|수정|교정|바로)"
        r"|^(?:صحح|دقق) (?:الأخطاء )?(?:الإملا|إملا|النحو|القواعد)"
        r"|(?:वर्तनी|व्याकरण|टाइपो)(?: की)?(?: गलतियाँ| गलतियां| अशुद्धियाँ)? (?:ठीक|सुधार|सही)",
        "simple",
        "other",
        "writing",
        examples=(
            "Corrige la ortografía de esta frase",
            "Corrija a ortografia desta frase",
            "Corrige l'orthographe de cette phrase",
            "Korrigiere die Rechtschreibung in diesem Satz",
            "Исправь опечатки в этом предложении",
            "修正这句话里的错别字",
            "この文の誤字を直して",
            "이 문장의 맞춤법을 고쳐 줘",
            "صحح الأخطاء الإملائية في هذه الجملة",
            "इस वाक्य की वर्तनी ठीक करो",
        ),
        why="changes no meaning",
        most_chars=240,
    ),
    Rule(
        "what-does-this-do",
        r"^what (?:does|do) (?:this|that|these|the following|the above) (?:\w+ )?"
        r"(?:function|code|script|method|class|snippet|line|command|query|regex|program|macro)s? "
        r"(?:do|return|mean|print|output)(?:\?? ?:\s..*|[\s.!?:。！？؟।]*)$"
        rf"|^¿?qué hace (?:est[ae]|es[ae]|la siguiente|el siguiente) (?:función|código|script|método"
        rf"|clase|línea|comando"
        rf"|consulta|programa){_END}"
        rf"|^o que (?:faz )?(?:est[ae]|ess[ae]) (?:função|código|script|método|classe|linha|comando"
        rf"|consulta|programa)"
        rf"(?: faz)?{_END}"
        rf"|^(?:que fait|qu'est-ce que fait) c(?:ette|e) (?:fonction|code|script|méthode|classe"
        rf"|ligne|commande|requête"
        rf"|programme){_END}"
        rf"|^was (?:macht|tut|bewirkt) diese[rs]? (?:funktion|code|skript|methode|klasse|zeile"
        rf"|befehl|abfrage|programm){_END}"
        rf"|^что (?:делает|выводит|возвращает) эт\S+ (?:функци\S+|код|скрипт|метод|класс|строка"
        rf"|команда|запрос"
        rf"|программа){_END}"
        rf"|^(?:请问)?(?:这个|这段|这行|下面的?|以下)(?:函数|代码|脚本|方法|类|命令|查询|程序)(?:是)?(?:(?:做|干)(?:什么|啥)"
        rf"|有什么(?:用|作用))(?:的|用的)?{_END}"
        rf"|^この(?:関数|コード|スクリプト|メソッド|クラス|行|コマンド|クエリ|プログラム)は何を(?:します|する|している"
        rf"|しています)(?:か|の|のですか|んですか)?{_END}"
        rf"|^이 (?:함수|코드|스크립트|메서드|클래스|줄|명령어?|쿼리|프로그램)(?:는|은|가|이)?"
        rf" ?(?:무엇을|뭘|무슨 일을) ?하\S+(?: \S+)?{_END}"
        rf"|^[\w ./+-]{{2,24}} ?(?:命令|函数)?是(?:做|干)(?:什么|啥)(?:的|用的)?{_END}"
        rf"|^[\w ./+-]{{2,24}} ?は何をする(?:コマンド|関数|もの)?(?:です|の)?か{_END}"
        rf"|^ماذا (?:تفعل|يفعل) (?:هذه|هذا) (?:الدالة|الكود|الشيفرة|السكربت|الأمر|البرنامج|الفئة"
        rf"|الاستعلام){_END}"
        rf"|^यह (?:फ़ंक्शन|फंक्शन|कोड|स्क्रिप्ट|कमांड|क्लास|क्वेरी|प्रोग्राम) क्या कर(?:ता|ती) है{_END}",
        "simple",
        "explanation",
        "code",
        examples=(
            "What does this function do: def add(a, b): return a + b",
            "What do these lines print?",
            "¿Qué hace esta función?",
            "O que esta função faz?",
            "Que fait cette fonction ?",
            "Was macht diese Funktion?",
            "Что делает эта функция?",
            "这个函数是做什么的？",
            "この関数は何をしますか？",
            "git stash は何をするコマンドですか",
            "git stash 是干什么的",
            "이 함수는 무엇을 하나요?",
            "ماذا تفعل هذه الدالة؟",
            "यह फ़ंक्शन क्या करता है?",
        ),
        why="one piece of code, one paragraph",
        most_chars=180,
    ),
    Rule(
        "short-fact-other",
        r"^(?:¿?(?:cuál es la (?:fórmula química|capital|moneda|población)|quién (?:escribió|inventó"
        r"|descubrió|pintó)"
        r"|cuándo (?:nació|murió|terminó|empezó)|dónde (?:está|queda|nació)|en qué año)"
        r"|qual é a (?:fórmula química|capital|moeda|população)|quem (?:escreveu|inventou|descobriu|pintou)"
        r"|quando (?:nasceu|morreu|terminou|começou)"
        r"|onde (?:fica|nasceu)|em que ano"
        r"|quelle est la (?:formule chimique|capitale|monnaie|population)|qui a (?:écrit|inventé"
        r"|découvert|peint)"
        r"|où (?:est|se trouve|se situe)"
        r"|en quelle année"
        r"|(?:was|wie) (?:ist|heißt) die (?:hauptstadt|währung|einwohnerzahl)|wer (?:schrieb|erfand"
        r"|entdeckte|malte)"
        r"|wo (?:liegt|befindet sich)|in welchem jahr"
        r"|как(?:ая|ова) (?:химическая формула|столица|валюта)|кто (?:написал|изобр[её]л|открыл)\S*"
        r"|когда (?:родил"
        r"|закончил|начал)\S+"
        r"|где (?:находится|расположен\S*)|в каком году"
        r"|ما (?:هي )?عاصمة|من (?:كتب|اخترع|اكتشف)|أين (?:تقع|يقع)|متى (?:ولد|انته)\S*) ..+$"
        r"|^.{1,12}的(?:首都|货币|人口|化学式)(?:是|在)?(?:哪里|哪儿|什么|哪个城市|多少)|^谁(?:写了|发明了|发现了|画了).{1,20}$"
        r"|^.{1,14}の(?:首都|化学式)は(?:どこ|何|なん)|^.{1,16}を(?:書いた|発明した|発見した)のは誰"
        r"|^.{1,14}의 (?:수도|화폐|인구|화학식)(?:는|은|가)? ?(?:어디|무엇|뭐|몇)"
        r"|^.{1,16}[를을] (?:쓴|발명한|발견한) 사람은"
        r"|^.{1,24} की राजधानी (?:क्या|कहाँ|कहां|कौन)",
        "simple",
        "explanation",
        examples=(
            "¿Cuál es la capital de Francia?",
            "Qual é a capital do Peru?",
            "Quelle est la capitale du Pérou ?",
            "Wie heißt die Hauptstadt von Peru?",
            "Какая столица Перу?",
            "法国的首都是哪里？",
            "フランスの首都はどこですか？",
            "프랑스의 수도는 어디인가요?",
            "أين تقع بيرو؟",
            "पेरू की राजधानी कहाँ है?",
        ),
        why="one fact, one line",
        unless=HARD,
        most_chars=72,
    ),
    Rule(
        "short-translation-other",
        rf"^(?:¿?cómo se dice|como se diz|comment dit-on|wie sagt man) .{{1,40}} (?:en|em|auf) \S+{_END}"
        rf"|^как (?:сказать|будет) .{{1,40}} (?:по-\S+|на \S+){_END}"
        rf"|^كيف (?:أقول|نقول|تقول) .{{1,40}} ب\S+{_END}"
        r"|^.{1,40} को \S+ में क्या कहते हैं|^(?:.{1,40} )?का \S+ में अनुवाद (?:कर|कीजिए)",
        "simple",
        "other",
        "translation",
        examples=(
            "¿Cómo se dice gracias en francés?",
            "Como se diz obrigado em francês?",
            "Comment dit-on merci en allemand ?",
            "Wie sagt man danke auf Französisch?",
            "Как сказать доброе утро по-французски?",
            "كيف أقول شكرا بالفرنسية؟",
            "धन्यवाद को फ्रेंच में क्या कहते हैं?",
            "नमस्ते का अंग्रेज़ी में अनुवाद करो",
        ),
        why="a phrase, not a document",
        most_chars=80,
    ),
    Rule(
        "consensus-implementation",
        r"^(?:implement|impl[ée]ment|реализ|نفذ|write|build|escrib|escrev)\S* .*\b(?:raft|paxos|crdts?)\b"
        r"|^(?:请|帮我)?(?:实现|编写).*(?:raft|paxos|crdt)"
        r"|(?:raft|paxos|crdt).*(?:を実装|을 구현|를 구현|लागू कर)",
        "complex",
        "generation",
        "code",
        examples=(
            "Write a Paxos implementation in Go",
            "Implementa una biblioteca de consenso Raft con compactación de registros",
            "Implementiere eine Raft-Konsensbibliothek",
            "实现一个支持日志压缩的 Raft 共识库",
            "ログ圧縮に対応したRaft合意ライブラリを実装してください",
            "로그 압축을 지원하는 Raft 합의 라이브러리를 구현해 주세요",
        ),
        why="concurrency and failure are the difficulty, not the lines",
        unless=r"\b(?:essay|article|poem|summary|quiz|blog|overview|boat|boats|river|story|float\w*)\b",
    ),
    Rule(
        "whole-codebase-other",
        r"^(?:refactoriz|migr|reescrib|reestructur|reemplaz|sustituy|moderniz|conviert|unific)\S* .*"
        r"(?:[ \n](?:todo el (?:código|repositorio|proyecto|monorepo|codebase)|toda la base de código))"
        r"|^(?:refator|migr|reescrev|reestrutur|substitu|moderniz|convert|unifiqu)\S* .*"
        r"[ \n](?:toda a base de código|todo o (?:código|repositório|projeto|monorepo|codebase))"
        r"|^(?:refactoris|migre|réécri|restructur|remplac|modernis|converti|unifi)\S* .*"
        r"(?:toute la base de code|tout le (?:code|dépôt|monorepo|projet)"
        r"|l['’]ensemble d(?:e la base de|u) (?:code|dépôt))"
        r"|^(?:refa[ck]tor|migrier|schreib|strukturier|ersetz|modernisier|konvertier|vereinheitlich)\S* .*"
        r"[ \n](?:gesamte|ganze|komplette)\S? (?:codebasis|codebase|code-basis|repository|repo"
        r"|monorepo|quellcode|projekt)"
        r"|^(?:отрефактор|рефактор|мигрир|перенес|перепиш|замен|унифицир|модернизир|переработа)\S* .*"
        r"[ \n]вс(?:ей|ю|ём|ему|его|е) (?:кодов\S+ баз|репозитори|проект|код|монорепо)"
        r"|(?:重构|迁移|重写|统一|改造).{0,12}整个(?:代码库|代码仓库|仓库|项目)"
        r"|整个(?:代码库|代码仓库|仓库|项目).{0,20}(?:重构|迁移|改成|改为|替换|重写|统一|改造|升级)"
        r"|(?:コードベース|リポジトリ|モノレポ|プロジェクト)全体.{0,30}(?:リファクタ|移行|書き換え|置き換え|統一|刷新)"
        r"|(?:전체 (?:코드 ?베이스|저장소|리포지토리|프로젝트)|(?:코드 ?베이스|저장소|프로젝트) 전체).{0,30}"
        r"(?:리팩터링|리팩토링|마이그레이션|교체|재작성|다시 작성|통일|이전)"
        r"|^(?:أعد (?:هيكلة|كتابة|بناء)|انقل|استبدل) .*(?:كامل|جميع|كل) (?:قاعدة (?:الشيفرة|الكود"
        r"|التعليمات)|المستودع|المشروع|الشيفرة|الكود)"
        r"|(?:पूरे|संपूर्ण|समूचे|सारे) (?:कोडबेस|कोड बेस|रिपॉजिटरी|रेपो"
        r"|प्रोजेक्ट) .{0,60}(?:रिफैक्टर|रीफैक्टर|माइग्रेट|बदल|स्थानांतरित)",
        "complex",
        "generation",
        "code",
        examples=(
            "Refactoriza el manejo de errores en todo el código sin cambiar la API pública",
            "Refatore o tratamento de erros em toda a base de código",
            "Refactorise la gestion des erreurs dans toute la base de code",
            "Refaktoriere die Fehlerbehandlung in der gesamten Codebasis",
            "Отрефактори обработку ошибок во всей кодовой базе",
            "重构整个仓库的错误处理，统一成结果类型",
            "コードベース全体のエラー処理をリファクタリングしてください",
            "전체 코드베이스의 오류 처리를 리팩터링해 주세요",
            "أعد هيكلة معالجة الأخطاء في كامل قاعدة الشيفرة",
            "पूरे कोडबेस में त्रुटि प्रबंधन को रिफैक्टर करो",
        ),
        why="many files have to agree",
    ),
)
