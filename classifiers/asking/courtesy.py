"""Takes greetings, thanks, and framing ("think step by step", "you are an expert") off the two ends of an ask.

They say nothing about how hard it is, yet word lists are pushed up and down by them.
"""

from typing import Final

import re2

_END: Final = r"[\s,.!?;:~…—–\-！。，、？)🙏😊🙂]"
_STOP: Final = rf"(?:{_END}+|$)"
_NAMES: Final = (
    r"(?:chat ?gpt|gpt|claude|gemini|assistant|ai|bot|there|all|everyone|team|friend|mate|guys|dear|sir)"
)

_GREETINGS: Final = (
    (
        rf"(?:hi|hello|hey|hiya|greetings|good (?:morning|afternoon|evening|day)|"
        rf"dear {_NAMES})(?:,? {_NAMES})*{_STOP}"
    ),
    r"(?:i )?(?:hope|trust) (?:you(?:'re|’re| are)|this|all|everything)[^.!?\n]{0,60}[.!?]+\s*",
    (
        r"(?:(?:i'm |i am )?sorry (?:to|for) (?:bother|disturb|trouble|interrupt)[^.!?\n]{0,40}|"
        r"(?:it's )?nice to meet you)[.!?,]+\s*"
    ),
    r"how are you(?: doing)?(?: today)?[?!.,]+\s*",
    (
        rf"(?:could|can|would|will) (?:you|u|someone|anyone) (?:please |kindly |possibly )?(?:help|"
        rf"assist)(?: me| us)?(?: out| with (?:this|something|the following|a (?:task|question|"
        rf"problem)))?(?:,? please)?{_STOP}"
    ),
    (
        rf"(?:i (?:have|had|got) (?:a|one|another) (?:quick |small |simple )?(?:question|request|task|"
        rf"problem)(?: for you)?|(?:quick|simple) question|please help(?: me| us)?(?: with (?:this|"
        rf"the following))?|i need (?:some |your )?help(?: with (?:this|the following|something))?){_STOP}"
    ),
    r"(?:(?:could|can|would|will) (?:you|u) (?:please |kindly |possibly )?|please,? |pls |plz |kindly )",
    (
        r"(?:i(?:'d| would) (?:really )?(?:like|love|appreciate|be grateful)(?: it)?(?: if you (?:could|"
        r"would|can))?(?: (?:for )?you to)?|i (?:need|want) you to) "
    ),
    (
        rf"(?:hola|buenos d[ií]as|buenas (?:tardes|noches)|oi|ol[áa]|bom dia|boa (?:tarde|noite)|bonjour|"
        rf"bonsoir|salut|hallo|guten (?:tag|morgen|abend)|moin){_STOP}"
    ),
    (
        rf"(?:¿?(?:podr[ií]as?|puedes?|me puedes?) ayudarme(?: con esto)?(?:,? por favor)?|"
        rf"(?:você )?(?:pode(?:ria)?|podes) (?:me )?ajudar(?:-me)?(?: com isso)?(?:,? por favor)?|"
        rf"(?:pouvez-vous|peux-tu|pourriez-vous) m'aider(?:,? s'il (?:vous|te) pla[iî]t)?|"
        rf"(?:k[öo]nn(?:t)?en sie|kannst du|k[öo]nntest du) mir (?:bitte )?helfen){_STOP}"
    ),
    rf"(?:por favor|s'il (?:vous|te) pla[iî]t|bitte|пожалуйста|прошу){_STOP}",
    (
        rf"(?:привет|здравствуйте|здравствуй|добрый (?:день|вечер)|доброе утро|(?:не )?(?:могли бы вы|можете|"
        rf"можешь)(?: мне)?(?: пожалуйста)? помочь){_STOP}"
    ),
    (
        r"(?:你好|您好|嗨|哈[喽啰]|早上好|下午好|晚上好|请问|麻烦(?:你|您)?|(?:你|您)?(?:能|"
        r"可以)(?:请)?帮(?:我|忙)(?:一下)?(?:吗)?[?？,，。!！ ]|"
        r"请帮(?:我|忙)(?:一下)?)[\s,，。!！?？、~]*"
    ),
    (
        r"(?:こんにちは|こんばんは|おはよう(?:ございます)?|はじめまして|すみません|お願いがあります|"
        r"(?:手伝って|助けて)(?:いただけますか|くれますか|ください))[\s,、。!！?？]*"
    ),
    r"(?:안녕하세요|안녕|실례합니다|(?:저를 )?도와주(?:시겠어요|실 수 있나요|세요))[\s,.!?~]*",
    r"(?:مرحب[اًا]*|السلام عليكم|أهلا|صباح الخير|مساء الخير|هل يمكنك مساعدتي|من فضلك)[\s,.!?،؟]*",
    r"(?:नमस्ते|नमस्कार|हैलो|क्या आप (?:कृपया )?मेरी मदद कर सकते हैं|कृपया)[\s,.!?।]*",
)
_THANKS: Final = (
    (
        r"(?:many )?(?:thanks|thank (?:you|u)|thx|ty|cheers)(?: (?:a lot|so much|very much|a million|"
        r"in advance|for (?:your|the|any) (?:help|time|support|assistance)))*(?:,? (?:again|in advance))?"
    ),
    (
        r"(?:i(?:'d| would)? (?:really )?appreciate (?:it|your help|any help)|any help (?:is|"
        r"would be) appreciated|please help(?: me)?|please|pls|plz)"
    ),
    r"(?:(?:best|kind|warm) regards|have a (?:nice|great|good) day)",
    (
        r"(?:much[ao]s )?gracias(?: de antemano)?|(?:muito )?obrigad[oa]|merci(?: (?:beaucoup|d'avance))?|"
        r"(?:vielen )?dank(?: im voraus)?|danke(?: schön)?|por favor|s'il (?:vous|te) pla[iî]t|bitte|"
        r"спасибо(?: (?:большое|заранее))?|пожалуйста"
    ),
    (
        r"(?:非常)?(?:谢谢|感谢|多谢)(?:你|您|了)?|ありがとう(?:ございます)?|よろしくお願いします|"
        r"お願いします|감사합니다|고맙습니다|شكرا(?: جزيلا)?|"
        r"من فضلك|धन्यवाद|शुक्रिया"
    ),
)
_FRAMING: Final = (
    (
        r"(?:(?:let's|let us|please|now|and|so) )*(?:think|reason|work|go|solve (?:it|this)|do (?:it|"
        r"this))(?: about (?:it|this)| (?:it|this) out| through (?:it|this))?(?: carefully(?: and)?|"
        r",)? ?step[- ]by[- ]step(?:,? (?:and|then|before)[^.!?\n]{0,60})?"
    ),
    (
        r"(?:take a deep breath(?: and [^.!?\n]{0,60})?|think (?:carefully|hard|deeply|"
        r"it through)(?: (?:about|before)[^.!?\n]{0,40})?)"
    ),
    (
        r"(?:please |and |then |also )*(?:explain|show|describe|justify|include|"
        r"give)(?: me)?(?: all)?(?: (?:your|the|each|every))? ?(?:reasoning|thinking|thought process|"
        r"work(?:ing)?|steps?|answer|rationale)(?: (?:clearly|in detail|carefully|step[- ]by[- ]step))?"
    ),
    r"(?:please )?(?:explain|explain it|explain yourself|elaborate)",
    (
        r"(?:please )?(?:be (?:as )?(?:concise|brief|thorough|detailed|precise|accurate|careful|"
        r"specific)(?: as possible)?|answer (?:carefully|concisely|briefly|in detail|thoroughly)|"
        r"keep it (?:short|simple|brief)|take your time|do your best|this is (?:very |really )?(?:important|"
        r"urgent)(?: to (?:me|my career))?)"
    ),
    (
        r"请?(?:一步一步|一步步|逐步)(?:地)?(?:思考|推理|分析|来)(?:并解释)?|"
        r"ステップバイステップで(?:考えて|説明して)(?:ください)?|단계별로 (?:생각|"
        r"설명)해 ?(?:주세요|보세요)?|paso a paso|piensa paso a paso(?: y explica)?|"
        r"pense passo a passo(?: e explique)?|réfléchis(?:sez)? étape par étape(?: et expliquez?)?|"
        r"denke? schritt für schritt(?: nach)?(?: und erkläre?)?|"
        r"думай(?:те)? шаг за шагом(?: и объясни(?:те)?)?|فكر خطوة بخطوة|चरण दर चरण सोचें"
    ),
)
_ROLE: Final = (
    # Only praise: "you are a psychologist in a state that ..." is part of a question.
    (
        r"(?:you are|you're|act as|act like|behav(?:e|ing) like|imagine you are|as) (?:a|an|the|my) (?:[\w-]+ ){0,2}"
        r"(?:expert|helpful|assistant|senior|professional|experienced|world[- ]class|skilled|seasoned|ai|"
        r"language model|specialist|genius|master|top)\b[^.!?:\n]{0,160}(?:[.!:]\s+|\n+)"
    ),
    r"(?:take a deep breath|(?:let's )?think step[- ]by[- ]step)[^.!?\n]{0,60}[.!,:\n]+\s*",
)
_HEAD: Final = re2.compile("(?i)^(?:" + "|".join((*_GREETINGS, *_ROLE)) + ")")
_TAIL: Final = re2.compile(
    r"(?i)(?:^|[\s.!?,;:。！？،؟।)\"'`])(?:" + "|".join((*_THANKS, *_FRAMING)) + rf"){_END}*$"
)
# Courtesies are short, and a few of them are all that people write.
_MOST_ROUNDS: Final = 6
_HEAD_CHARS: Final = 600
_TAIL_CHARS: Final = 160


def without_courtesies(text: str) -> str:
    """The ask alone; the text itself when it is nothing but courtesy. Looks at the ends only."""
    head = text.strip()
    for _ in range(_MOST_ROUNDS):
        found = _HEAD.match(head[:_HEAD_CHARS])
        if found is None or not found.end():
            break
        head = head[found.end() :].lstrip()
    ask = head
    for _ in range(_MOST_ROUNDS):
        start = max(0, len(ask) - _TAIL_CHARS)
        found = _TAIL.search(ask[start:])
        if found is None:
            break
        # The mark that ended the sentence before belongs to the ask.
        kept = start + found.start() + (1 if found[0][:1] in ".!?。！？؟।)\"'`" else 0)
        ask = ask[:kept].rstrip()
    return ask if any(letter.isalnum() for letter in ask) else text.strip()
