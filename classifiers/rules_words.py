"""Words that several rules share."""

from typing import Final

# Words after which a short question is no longer an easy one.
HARD: Final = (
    r"\b(?:differences?|differ|compare|versus|vs\.?|best|better|worst|optimal|way to|ways to|how to|why|"
    r"prove|proof|derive|impact|effect|"
    r"implications?|trade-?offs?|role of|relationship|probability|integral|derivative|gradient|solution|"
    r"solve|roots?|limit of|value of|"
    r"equation|sum of|product of|last digit|remainder|perimeter|answer|next number|code|output of|"
    r"design|architecture|root cause|wrong)\b"
    r"|区别|差异|为什么|最好|如何|方程|积分|导数|概率|极限|原因|影响|作用|关系|方案|证明|架构|输出"
    r"|違い|なぜ|方程式|積分|微分|確率|極限|影響|関係|証明|方法|出力"
    r"|차이|왜|방정식|적분|미분|확률|극한|원인|영향|관계|증명|방법|출력"
    r"|diferen[cç]|ecuaci|equaç|integral|derivad|probabil|l[ií]mite|causa|impacto|soluci|soluç|ra[ií]z|prueba|prova|relaci|relaç"
    r"|différence|équation|intégrale|dérivée|limite|preuve|racine|relation"
    r"|unterschied|gleichung|ableitung|wahrscheinlich|grenzwert|ursache|auswirkung|beweis|lösung|verhältnis|zusammenhang"
    r"|разниц|отлич|почему|уравнени|интеграл|производн|вероятност|предел|причин|влияни|доказ|решени|значени|связ"
    r"|الفرق|لماذا|معادلة|تكامل|مشتق|احتمال|سبب|تأثير|برهان|علاقة"
    r"|अंतर|क्यों|समीकरण|समाकल|अवकल|प्रायिकता|कारण|प्रभाव|प्रमाण|संबंध"
    r"|[=^∫∑√\\{}<>]|\n|[0-9] ?[-+*/%] ?[0-9]|[?？].+[?？]"
)

# A natural language, by a name it has in one of the languages rules speak.
LANGUAGE: Final = (
    r"(?:(?:latin american|brazilian|european|simplified|traditional|modern|informal|formal) )?(?:"
    r"arabic|bengali|bulgarian|cantonese|catalan|chinese|croatian|czech|danish|dutch|english|esperanto|estonian|farsi|finnish"
    r"|french|german|greek|hebrew|hindi|hungarian|icelandic|indonesian|irish|italian|japanese|korean|latin|latvian|lithuanian"
    r"|malay|mandarin|norwegian|persian|polish|portuguese|romanian|russian|serbian|slovak|spanish|swahili|swedish|tagalog"
    r"|tamil|thai|turkish|ukrainian|urdu|vietnamese|welsh"
    r"|inglés|español|francés|alemán|italiano|portugués|ruso|chino|japonés|coreano|árabe"
    r"|inglês|espanhol|francês|alemão|português|russo|chinês|japonês"
    r"|anglais|espagnol|français|allemand|italien|portugais|russe|chinois|japonais|coréen|arabe"
    r"|englische?|spanische?|französische?|deutsche?|italienische?|portugiesische?|russische?|chinesische?|japanische?"
    r"|koreanische?|arabische?"
    r"|английский|испанский|французский|немецкий|итальянский|португальский|русский|китайский|японский|корейский|арабский"
    r"|الإنجليزية|الانجليزية|الإسبانية|الفرنسية|الألمانية|الإيطالية|البرتغالية|الروسية|الصينية|اليابانية|الكورية|العربية)"
)
# An article before a name.
THING: Final = (
    r"(?:an? |the |un[ea]? |l[ae]s? |el |los |ein(?:e|en)? |der |die |das |o |a |os |as |um(?:a)? )?"
)
