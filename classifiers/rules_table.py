r"""The built-in rules: forms of request whose complexity is plain from a few words.

Every row's examples are tests. Patterns are RE2's, so matching takes time linear in the text whatever they say. They
see the ask without its courtesies, case ignored. RE2's `\\b` knows ASCII only: beside other scripts patterns say `\\PL`
(no letter) or nothing. A form that is right less than 19 times in 20 on labelled requests belongs to the scorer.
"""

from typing import Final

from classifiers.rules_abroad import ABROAD
from classifiers.rules_words import HARD, LANGUAGE, THING
from classifiers.types import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "greeting",
        r"^\PL*(?:hi|hello|hey|hiya|yo|good (?:morning|afternoon|evening|night)|thanks?|thank you|ok(?:ay)?|"
        r"yes|no|bye|help|test|"
        r"hola|gracias|ayuda|adi[oó]s|oi|ol[áa]|obrigad[oa]|ajuda|bonjour|salut|merci|aide|hallo|danke|"
        r"hilfe|guten (?:tag|morgen|abend)|"
        r"привет|здравствуйте|спасибо|помогите|помоги|пока|你好|您好|谢谢|帮助|再见|早上好|こんにちは|"
        r"ありがとう|助けて|おはよう|"
        r"안녕하세요|안녕|감사합니다|도와주세요|مرحبا|شكرا|مساعدة|السلام عليكم|नमस्ते|धन्यवाद|"
        r"मदद)(?: (?:there|all|everyone|"
        r"again|you))?\PL*$",
        "simple",
        "other",
        examples=("Hello!", "hey there", "谢谢", "Привет", "안녕하세요", "مساعدة", "¡Gracias!"),
        why="courtesies need no model worth money",
        most_chars=40,
    ),
    Rule(
        "short-fact",
        r"^(?:who (?:is|was|wrote|invented|discovered|painted|created|founded|won)|when (?:is|was|did|were)|"
        r"where (?:is|was|are|were)|"
        r"how (?:tall|old|far|big|long|deep|heavy|high|fast) (?:is|are|was)|"
        r"how many \S+(?: \S+){0,3} (?:are|does|do|in)|"
        r"what (?:year|time|day|colou?r|currency|language|continent|country) |what(?:'s| is) the (?:capital|"
        r"population|currency|largest|"
        r"smallest|tallest|longest|boiling point|freezing point|chemical symbol|speed of)|which (?:country|"
        r"planet|city|year)) ?..+$",
        "simple",
        "explanation",
        examples=("Who wrote Hamlet?", "What is the capital of Australia?", "When did World War II end?"),
        why="one fact, one line",
        unless=HARD,
        most_chars=72,
    ),
    Rule(
        "short-definition",
        rf"^(?:what(?:'s| is| are| was) {THING}\S+(?: \S+){{0,4}}\??|"
        rf"what does {THING}\S+(?: \S+){{0,3}} (?:mean|stand for)\??|"
        r"(?:define|definition of|meaning of) \S+(?: \S+){0,4}[.?]?)$",
        "simple",
        "explanation",
        examples=(
            "What is a NAT gateway?",
            "What does HTTP stand for?",
            "Define lexical analysis",
            "what's recursion",
        ),
        why="one term, one paragraph",
        unless=HARD,
        most_chars=64,
    ),
    Rule(
        "short-definition-cjk",
        r"^(?:(?:什么是|何谓|請問什麼是|什麼是).+|.+(?:是什么(?:意思)?|是什麼(?:意思)?|的定义(?:是什么)?)|"
        r".+とは(?:何(?:ですか|でしょうか)?)?|.+って何(?:ですか)?|.+の意味(?:は|は何ですか)?|"
        r".+(?:이란|란|(?:은|는|이|가) ?(?:무엇|뭐|뭔))(?: ?(?:인가요|입니까|이에요|예요|가요|야))?|"
        r".+(?:이란|란) 무엇인가요)[？?。.]*$",
        "simple",
        "explanation",
        examples=(
            "什么是死锁？",
            "递归是什么意思？",
            "再帰とは何ですか？",
            "재귀란 무엇인가요?",
            "API가 뭐야?",
        ),
        why="one term, one paragraph; no spaces to count, so the term is bounded in characters",
        unless=HARD,
        most_chars=40,
    ),
    Rule(
        "short-definition-other",
        rf"^(?:¿?qu[ée] (?:es|son|significa) |qu'est-ce qu(?:e|'un(?:e)?) |c'est quoi |que signifie |"
        rf"was (?:ist|sind|bedeutet|hei[sß]+t) |"
        rf"(?:o )?que (?:é|são|significa) |что (?:такое|значит|означает) |ما (?:هو|هي|معنى|هى) |definiere |"
        rf"define |définis |определи ){THING}\S+(?: \S+){{0,4}}[?؟.]?$"
        r"|^..+ (?:क्या (?:है|हैं|होता है|होती है)|का (?:मतलब|अर्थ) क्या है)[?।]?$",
        "simple",
        "explanation",
        examples=(
            "¿Qué es una API?",
            "Qu'est-ce qu'une variable ?",
            "Was ist maschinelles Lernen?",
            "O que é recursão?",
            "Что такое рекурсия?",
            "ما هو الذكاء الاصطناعي؟",
            "API क्या है?",
        ),
        why="one term, one paragraph",
        unless=HARD,
        most_chars=70,
    ),
    Rule(
        "short-translation",
        r"^(?:how do (?:you|i) say|translate|traduce|traduis|traduza|traduzir|übersetze|переведи(?:те)?|"
        r"ترجم)[\s'\"“”«»:]{1,3}.+[\s'\"“”«»]{1,3}(?:(?:in)?to|in|al?|en|em|para(?: o)?|ins?|auf|на|إلى) "
        rf"{LANGUAGE}[\s.!?؟]*$"
        r"|^\W{0,2}.+\W{0,2}(?:用.+怎么说|怎么翻译|(?:を|は).+語(?:に翻訳|で(?:何|なん)).*|"
        r"을? .+어로 (?:번역|뭐).*)[？?。]*$|^(?:把|"
        r"将)?.{0,3}['\"“「].+['\"”」].{0,3}(?:翻译成|译成).+$",
        "simple",
        "other",
        "translation",
        examples=(
            "Translate 'hello world' to Spanish",
            "'hello world'用Spanish怎么说？",
            "How do you say good morning in German?",
        ),
        why="a phrase, not a document",
        unless=r"\b(?:sql|code|function|query|script|regex|python|javascript|java|json|html|css"
        r"|c\+\+|rust|datalog)\b",
        most_chars=90,
    ),
    Rule(
        "commit-message",
        r"^(?:write|generate|suggest|create|draft|give me|propose|make)\W+(?:me )?(?:an? |the |"
        r"some )?(?:good |short |concise |conventional |git )*commit (?:message|msg|title)|"
        r"^(?:git )?commit message for|(?:写|生成|起草).{0,6}(?:提交信息|提交说明|commit message)|"
        r"コミットメッセージを|커밋 메시지",
        "simple",
        "generation",
        "code",
        examples=(
            "Write a commit message for this diff",
            "Suggest a conventional commit message",
            "Write a commit message for a change that bumps the linter version",
            "コミットメッセージを書いて",
        ),
        why="a summary of a diff in one line",
        unless=r"(?:message|msg|title)s? (?:tool|script|linter|hook|parser|bot|app|program|generator"
        r"|checker|validator)\b|"
        r"\bthat (?:reads|checks|generates)\b",
        most_chars=200,
    ),
    Rule(
        "changelog",
        (
            r"^(?:write|generate|update|create|draft|add)\W+(?:an? |the )?(?:short |"
            r"brief )?(?:change ?log(?: entry| entries)?|release notes?)\b"
        ),
        "simple",
        "generation",
        "code",
        examples=("Write a changelog entry for this release", "Generate release notes from these commits"),
        why="lists what is there",
        unless=r"\b(?:tool|script|program|app|system|parser|workflow|pipeline|that (?:reads|parses"
        r"|generates))\b",
        most_chars=200,
    ),
    Rule(
        "one-word",
        r"^(?:(?:give me|tell me|find|name|suggest|what(?:'s| is)|what are) )?(?:an? |the |some "
        r"|another |one |two |three )?"
        r"(?:synonyms?|antonyms?|opposite|plural(?: form)?|past tense|abbreviation|rhymes?) (?:for"
        r"|of|to|with) "
        r"(?:the word )?\S+(?: \S+)?[?.]?$",
        "simple",
        "other",
        "writing",
        examples=("Give me a synonym for happy", "Name two synonyms for fast"),
        why="one word is asked for",
        unless=HARD,
        most_chars=60,
    ),
    Rule(
        "unit-conversion",
        r"^(?:(?:convert|what(?:'s| is)) )?[0-9][0-9.,]* ?[a-z°]{1,14} (?:in|to|into) [a-z°]{1,14}[?.]?$",
        "simple",
        "other",
        "math",
        examples=("Convert 5 miles to km", "20 C in F?"),
        why="one factor",
        most_chars=48,
    ),
    Rule(
        "single-line",
        r"^(?:complete|finish) (?:this|the|my) (?:line|statement|expression)\b(?: of code)?:|^autocomplete\b",
        "simple",
        "generation",
        "code",
        examples=("Complete this line: for i in range(", "Finish the statement: const total ="),
        why="one line of code",
        most_chars=240,
    ),
    Rule(
        "what-does-it-do",
        (
            r"^what does (?:the |this )?[`'\"]?[\w./+-]+(?:\(\))?[`'\"]?(?: \S+){0,2} (?:do|return|"
            r"mean)(?: in (?:python|java|javascript|c|go|rust|bash|linux|sql|git))?\??$"
        ),
        "simple",
        "explanation",
        "code",
        examples=("What does chmod do?", "What does `git rebase` do?", "What does zip() return in Python?"),
        why="one name, one paragraph",
        most_chars=70,
    ),
    Rule(
        "comments",
        (
            r"^(?:add|write|insert)\W+(?:an? |some |the )?(?:short |brief |inline )*(?:docstrings?|comments?|"
            r"jsdoc|javadoc|type hints)\b (?:to|for|in)"
        ),
        "simple",
        "generation",
        "code",
        examples=(
            "Add docstrings to this module",
            "Write a docstring for parse_date",
            "Add inline comments to this function",
        ),
        why="describes code that is there",
        most_chars=160,
    ),
    Rule(
        "small-repair",
        (
            r"^(?:fix|correct)\W+(?:the |this |any |all |my )*(?:typos?|spelling|grammar|punctuation|"
            r"indentation|capitali[sz]ation)\b|^rename (?:(?:the|this|my) )?(?:variable|function|file|class|"
            r"method)(?: \S+)? (?:to|as) \S+$"
        ),
        "simple",
        "other",
        "writing",
        examples=(
            "Fix the typos in this sentence",
            "Correct the grammar: he go home",
            "Rename the variable x to total",
            "Rename this function to load_users",
        ),
        why="changes no meaning",
        most_chars=240,
    ),
    Rule(
        "whole-codebase",
        (
            r"(?:^|\PL)(?:refactor|migrate|port|rewrite|restructure|moderni[sz]e|replace|convert"
            r"|upgrade|rename|"
            r"untangle)\PL.*\b(?:across|throughout|in|of|over) (?:the |our |my |this |an? )?(?:entire |"
            r"whole |full |large |legacy |complete )*(?:code ?base|repo(?:sitory)?|monorepo|mono-repo)\b"
        ),
        "complex",
        "generation",
        "code",
        examples=(
            "Refactor error handling across the entire codebase",
            "Replace the logger throughout our monorepo",
        ),
        why="many files have to agree",
    ),
    Rule(
        "system-design",
        (
            r"^(?:design|architect|dise[ñn]a(?:r)?|con[çc]o(?:is|evez|evoir)|entw[ei]rf\w*|projete|desenhe|"
            r"projetar|спроектируй(?:те)?|разработай(?:те)?) .*\b(?:system|platform|architecture|"
            r"infrastructure|pipeline|microservices?|service|gateway|framework|engine|strategy|sistema|"
            r"plataforma|arquitectura|arquitetura|système|plateforme|plattform|architektur|систем\w*|"
            r"платформ\w*|архитектур\w*)\b.*(?:,|\bwith\b|\bfor\b|\bcon\b|\bcom\b|\bavec\b|\bmit\b|\bс\b|"
            r"\bthat\b|\bsupport)"
        ),
        "complex",
        "generation",
        "software_design",
        examples=(
            "Design a zero-trust API gateway with mTLS, OPA policies, rate limiting, and audit logging.",
            "Diseña una plataforma de pagos con alta disponibilidad, auditoría y recuperación",
        ),
        why="several parts, each constrained by the others",
        unless=r"\b(?:logo|flyer|poster|dress|tattoo|test cases?|test scenarios?|tests)\b",
    ),
    Rule(
        "system-design-cjk",
        (
            r"^(?:请|帮我)?(?:设计|構築|设计并实现|规划)(?:一个|一套|一種)?.*(?:系统|平台|架构|服务|管道|"
            r"引擎|方案|网关|框架|策略|流水线)|(?:システム|"
            r"プラットフォーム|アーキテクチャ|パイプライン|基盤|サービス|エンジン).*設計(?:して|せよ|する)|"
            r"(?:시스템|플랫폼|아키텍처|파이프라인|서비스|"
            r"엔진).*설계(?:하|해)|^صمم .*(?:نظام|منصة|بنية|استراتيجية|خدمة|بوابة)|(?:सिस्टम|प्लेटफ़ॉर्म|"
            r"प्लेटफॉर्म|आर्किटेक्चर|पाइपलाइन).*(?:डिज़ाइन|डिजाइन) कर"
        ),
        "complex",
        "generation",
        "software_design",
        examples=(
            "设计一个实时反欺诈系统，包括特征存储和模型服务",
            "リアルタイム分析プラットフォームを設計してください",
            "실시간 분석 플랫폼을 설계하세요",
            "صمم نظام دفع موزع",
        ),
        why="several parts, each constrained by the others",
    ),
    Rule(
        "proof",
        r"^(?:(?:using|by|via|from|with) [^.]{3,80}, )?(?:formally |rigorously |mathematically )?(?:prove|"
        r"disprove|show that|show rigorously|derive)\PL........+|^(?:demuestra|demuestre|demostrar"
        r"|prueba que|"
        r"démontre[rz]?|prouve[rz]?|montre[rz]? que|beweise|zeige|zeigen sie|prove que|demonstre|deriv[ae]|"
        r"докажи(?:те)?|доказать|выведи(?:те)?|أثبت|برهن|إثبت|leite)\PL........+"
        r"|^(?:请|試)?(?:证明|證明|推导|推導)....+|....+(?:证明|證明)[。.]?$|....+(?:を)?(?:証明|"
        r"導出)(?:して|せよ|しなさい|する).*$|"
        r"....+(?:증명|유도)(?:하|해).*$|....+(?:सिद्ध|साबित|प्रमाणित) (?:कर|कीजिए).*$",
        "complex",
        "other",
        "math",
        examples=(
            "Prove that every connected graph with n vertices and n-1 edges is a tree.",
            "证明 (A→B)∧(B→C) 蕴含 (A→C)",
            "크루스칼 알고리즘이 최소 신장 트리를 생성함을 증명하세요.",
            "Докажите, что корень из двух иррационален.",
        ),
        why="every step must hold",
        unless=r"\b(?:tests? (?:case|suite)|my (?:identity|point))\b",
    ),
    Rule(
        "hardness",
        (
            r"\b(?:np-(?:hard|complete)(?:ness)?|undecidab\w+|polynomial[- ]time reduction|loop invariants?|"
            r"mathematical induction|by contradiction|epsilon[- ]delta|minimax theorem|nash equilibri\w+)\b"
        ),
        "complex",
        "other",
        "math",
        examples=(
            "Show a polynomial-time reduction from 3-SAT",
            "Is this scheduling problem NP-hard and which bound follows?",
        ),
        why="the vocabulary of proofs",
        unless=r"^(?:what|define|who|explain|summari[sz]e|compare)\b|\n[A-J][.)] ",
    ),
    Rule(
        "distributed-implementation",
        (
            r"^(?:implement|build|create|develop|engineer|implementa|implementiere|implémente[rz]?"
            r"|implemente|"
            r"реализуй(?:те)?|实现|構築|구현) .*\b(?:distributed|fault[- ]tolerant|multi-tenant|multi-region|"
            r"lock-free|consensus|raft|paxos|crdt|end-to-end|event-sourced|real-time|high-availability|"
            r"transactional)\b.*(?:,|\bwith\b)"
        ),
        "complex",
        "generation",
        "code",
        examples=(
            (
                "Implement a distributed lock manager with fencing tokens, deadlock detection, and automatic lease "
                "renewal"
            ),
        ),
        why="concurrency and failure are the difficulty, not the lines",
    ),
    Rule(
        "multi-step-agent",
        (
            r"\b(?:multi-?agent|autonomous agents?|agentic)\b.*\b(?:system|workflow|pipeline|orchestrat\w+|"
            r"framework|platform)\b|^(?:build|create|design|orchestrate|implement|write)\PL.*\b(?:ai |llm |"
            r"autonomous )agents? (?:that|which|to|with|for)\b"
        ),
        "complex",
        "generation",
        "code",
        examples=(
            "Build a multi-agent research system with a planner and critics",
            "Create an AI agent that books flights and reconciles invoices",
        ),
        why="plans, tools and state over many steps",
        unless=r"^(?:what|define|explain|summari[sz]e|compare)\b",
    ),
    Rule(
        "debugging-large-context",
        (
            r"\b(?:debug|root cause|memory leak|race condition|deadlock|segfault|segmentation fault"
            r"|heisenbug|"
            r"intermittent\w*|stack ?trace|traceback|crash(?:es|ing)?)\b|调试|根本原因|デバッグ|原因|디버그|원인"
        ),
        "complex",
        "debugging",
        "code",
        examples=("Find the root cause of this crash",),
        why="the fault may lie anywhere in what was pasted",
        least_message_chars=12_000,
    ),
    *ABROAD,
)
