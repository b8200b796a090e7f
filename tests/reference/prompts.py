"""What llama.cpp's server is asked for the golden files: ordinary prompts, short and long, of one turn and of several, in English and Chinese,
code, lists and transcripts. None was picked for its answer. The long ones have more tokens than a micro-batch of llama.cpp (512)."""

ENGLISH = """\
The lighthouse at the end of the harbour wall was built in 1871, after three ships had been lost on the rocks in a single winter. Its first
keeper was a retired sailor named Thomas Hale, who lived there with his wife and two daughters for nineteen years. Every evening he climbed the
one hundred and twelve steps, trimmed the wick, and lit the lamp before the sun touched the water. In his diary he wrote about the weather, the
price of oil, the birds that struck the glass, and the ships that passed: coal from the north, timber from across the sea, and once a circus with
two elephants on deck.

In 1903 the oil lamp was replaced by a gas burner, and in 1934 by an electric bulb of a thousand watts. The town council, which had paid for the
tower by a tax on salt, sold it to the state. From then on the keeper was a civil servant with a uniform, a pension and a bicycle. The last of
them, Margaret Ellis, came in 1958. She had studied botany, and in the garden behind the tower she grew cabbages, beans and a kind of blue poppy
that nobody had seen so close to the sea before. Visitors asked her for seeds, and she sent them in small paper bags to every corner of the country.

When the light was made automatic in 1986, the tower stood empty for eight years. Gulls nested on the gallery, and rain came through the dome. A
group of neighbours then formed a society, collected money, and repaired it: first the roof, then the stairs, at last the great lens, which had
to be taken apart into two hundred and forty pieces of glass, each cleaned by hand. Today the ground floor is a small museum. It shows Hale's
diary, a model of the harbour, the uniform with its brass buttons, and a drawer full of seeds. On the first Sunday of May the society opens the
gallery, and children may ring the fog bell once, for luck.

The harbour itself has changed more than its tower. The coal ships stopped in the sixties, the ferries in the nineties. Where the timber was
stacked there are now flats with large windows, a school for sailing, and a market that sells fish on Fridays. The rocks are marked by buoys, and
no ship has been lost on them since 1949. Yet people who live there say that they sleep better when the beam crosses the ceiling, four times a
minute, as it did in the days of Thomas Hale.
"""

CHINESE = """\
老城的西门外有一条小街，街上开着一家修表铺，铺主姓陈，今年六十七岁。他十五岁跟着舅舅学手艺，那时候一块手表要花掉普通人几个月的工资，戴表的人走在路上总要把袖子挽起来。\
陈师傅说，修表最要紧的不是眼力，而是耐心：一只表里有一百多个零件，最小的螺丝比芝麻还小，掉在地上要趴着找半天。

八十年代末，石英表多了起来，又便宜又准，来修机械表的人一年比一年少。街上别的铺子有的改卖眼镜，有的改卖手机，只有陈师傅还坐在原来的柜台后面。他的孩子在外地工作，劝他关了店去享福，\
他总是摇头，说还有几位老主顾的表没有修好。后来，城里的年轻人忽然又喜欢起旧东西来，常有人拿着爷爷留下的表来找他，问能不能让它再走起来。

去年春天，区里的博物馆办了一个展览，向陈师傅借了三十多件工具：放大镜、镊子、台钳，还有一台他舅舅用过的小车床。开幕那天来了很多学生，陈师傅当场拆开一只怀表，再一件一件装回去，前后用了四十分钟。\
表重新走起来的时候，孩子们都鼓起掌来。有个女孩问他，时间到底是什么。他想了想，说，时间就是你愿意为一件事情坐下来多久。

如今修表铺的墙上多了一张照片，是展览时学生们和他的合影。铺子每天上午九点开门，下午五点关门，星期一休息。街口新开了地铁站，来往的人比从前多，不少人路过时会停下来，隔着玻璃看他低头干活。\
陈师傅不太抬头，偶尔听见外面有人说话，就笑一笑，接着拧他的螺丝。他说，再干三年，就把铺子交给徒弟。徒弟今年二十二岁，学的是计算机，却觉得齿轮比代码更有意思。
"""


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


# Messages and the most tokens of the answer.
CHATS = [
    ([user("What is the capital of France?")], 64),
    ([user("用一句话介绍北京。")], 48),
    ([system("You answer in one short sentence."), user("Why is the sky blue?")], 64),
    ([user("My name is Ada."), assistant("Nice to meet you, Ada!"), user("What is my name?")], 48),
    ([user([{"type": "text", "text": "Count:"}, {"type": "text", "text": "one, two,"}])], 48),
    ([user("Write a Python function that reverses a string, and explain it.")], 128),
    ([user("请写一首关于春天的短诗。")], 64),
    (
        [
            system("You are a patient cook who helps beginners."),
            user("I have eggs, rice, two onions and some soy sauce. What can I make for dinner?"),
            assistant("You can make fried rice: cook the rice first, let it cool, fry the onions, add the rice, the soy sauce and the eggs."),
            user("How long should the rice cool, and why?"),
            assistant("At least half an hour, better overnight in the fridge, because dry grains don't stick together in the pan."),
            user("And if I have no time to let it cool? Give me three ideas."),
        ],
        96,
    ),
    ([user(f"Summarise this text in two sentences.\n\n{ENGLISH}")], 96),
    (
        [
            user(f"Read this text.\n\n{ENGLISH}"),
            assistant("I have read it. What do you want to know?"),
            user("Who grew blue poppies, and who was the first keeper?"),
        ],
        64,
    ),
]

# Prompts as they are and the most tokens of the answer.
COMPLETIONS = {
    "smollm2": [
        ("Once upon a time", 64),
        ("def fibonacci(n):\n", 64),
        ("从前有一座山，", 48),
        ("The 🙂 emoji means", 48),
        ("Dear Sir or Madam,\n\nI am writing to", 96),
        (ENGLISH.split("\n\n")[0], 64),
        (ENGLISH, 64),
        (CHINESE.split("\n\n")[0], 48),
    ],
    "gemma": [
        ("User: 你好\nAssistant: 你好！有什么可以帮你？\nUser: 中国的首都是哪里？\nAssistant:", 48),
        ("User: What is the capital of France?\nAssistant: Paris.\nUser: And of Italy?\nAssistant:", 48),
        ("从前有一座山，", 48),
        ("Once upon a time", 64),
        ("The", 32),
        ("def fibonacci(n):\n", 64),
        ("The 🙂 emoji means", 48),
        ("Dear Sir or Madam,\n\nI am writing to", 96),
        ("苹果 apple\n猫 cat\n狗 dog\n书 book\n水", 24),
        ("Shopping list:\n1. Bread\n2. Milk\n3.", 48),
        ("北京、上海和广州的区别是", 64),
        (ENGLISH.split("\n\n")[0], 64),
        (ENGLISH, 64),
        (ENGLISH + "\n" + ENGLISH.upper(), 48),
        (CHINESE.split("\n\n")[0], 64),
        (CHINESE, 64),
    ],
}
TEXTS = ["The cat sleeps on the sofa.", "今天天气很好。", "Interest rates rose by two percent.", "a"]
